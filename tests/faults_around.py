"""Plausible mistakes in what surrounds training: networks from elsewhere, inversion, memory."""

from tests.fault import Fault

NUMERICS = "numerics/test_"

IMPORTING = [
    Fault(
        "importing/_network_file.py",
        "if path.suffix.lower() in _PICKLES or _looks_pickled(path):",
        "if path.suffix.lower() in _PICKLES:",
        "importing/test_network_file.py::test_pickles_are_not_opened[2-a.safetensors]",
    ),
    Fault(
        "importing/_description.py",
        "return isinstance(value, numbers) and not isinstance(value, bool)",
        "return isinstance(value, numbers)",
        "importing/test_network_file.py::test_descriptions_are_checked[Dense.gain cannot be]",
    ),
    Fault(
        "importing/_assembly.py",
        "reordered[value.order] = weight.T",
        "reordered[:] = weight.T",
        "importing/test_onnx.py::test_agrees_with_onnxruntime[resnet]",
    ),
    Fault(
        "importing/_onnx_layers.py",
        "low.append(less if auto",
        "low.append(more if auto",
        "importing/test_onnx.py::test_agrees_with_onnxruntime[lenet]",
    ),
]

INVERSION = [
    Fault(
        "training/_engine.py",
        "((t - span.first) * span.size,)",
        "(t * span.size,)",
        "end_to_end/test_stream.py::test_streaming_takes_the_same_steps[20]",
    ),
    Fault(
        "methods/_chunked.py",
        "lambda a: a / self.chunks, sums)",
        "lambda a: a, sums)",
        f"{NUMERICS}chunked.py::test_chunks_give_the_step_of_the_whole_batch",
    ),
    Fault(
        "inversion/_block_descent.py",
        "moved = x - tau * sum(pulls, self.prior.joint(slope))",
        "moved = x - tau * self.prior.joint(slope)",
        "inversion/test_block_descent.py::test_one_layer_has_the_optimum_of_the_convex_solver",
    ),
    Fault(
        "inversion/_block_descent.py",
        "LiftedEnergy(network, weights=self.weights)",
        "LiftedEnergy(network)",
        "inversion/test_block_descent.py::test_a_linear_network_has_the_solution_of_its_normal_equations",
    ),
    Fault(
        "inversion/_primal_dual.py",
        "rest = radius * jnp.linalg.norm(r + own)",
        "rest = radius * jnp.linalg.norm(r)",
        "inversion/test_invert.py::test_the_energy_is_the_optimum",
    ),
    Fault(
        "inversion/_choice.py",
        "np.where(above, -1, 1) * math.log(10)",
        "np.where(above, 1, -1) * math.log(10)",
        "inversion/test_choice.py::test_the_discrepancy_is_the_noise_level",
    ),
    Fault(
        "inversion/_invert_file.py",
        "return found * math.sqrt(math.prod(shape))",
        "return found",
        "inversion/test_invert_file.py::test_auto_meets_the_noise_level",
    ),
    Fault(
        "inversion/_examples.py",
        "if kind.hasobject:",
        "if kind.hasobject and not kind.hasobject:",
        "inversion/test_invert_file.py::test_bad_input_is_one_line_and_nothing_is_written",
    ),
    Fault(
        "_files.py",
        "os.replace(path, old)",
        "shutil.rmtree(path)",
        "numerics/test_files.py::test_a_folder_whose_new_name_is_refused_keeps_its_content",
    ),
]
