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

FILES = [
    Fault(
        "imaging/_files.py",
        "if most < 0:",
        "if most < -(2**40):",
        "fuzzing/test_bombs.py::test_bombs_are_refused[image, png]",
    ),
    Fault(
        "imaging/_files.py",
        "if math.prod(page.chunked) != len(page.dataoffsets) or page.samplesperpixel > 4:",
        "if page.samplesperpixel > 4:",
        "fuzzing/test_bombs.py::test_bombs_are_refused[image, strips]",
    ),
    Fault(
        "importing/_onnx_shapes.py",
        "_check_entries(node, sum(array.size for array in arrays))",
        "_check_entries(node, max(array.size for array in arrays))",
        "fuzzing/test_bombs.py::test_bombs_are_refused[onnx, concatenation]",
    ),
    Fault(
        "affine/_norm_bound.py",
        "real = across(cosine, first) - across(sine, second)",
        "real = across(cosine, first) + across(sine, second)",
        "contracts/test_norm_bound.py::test_large_kernels_by_their_symbol_on_a_fine_grid",
    ),
]

INVERSION = [
    Fault(
        "training/_engine.py",
        "_batch(problem, span, t - span.first)",
        "_batch(problem, span, t)",
        "end_to_end/test_stream.py::test_streaming_takes_the_same_steps[20]",
    ),
    Fault(
        "methods/_chunked.py",
        "lambda a: a / self.chunks, sums)",
        "lambda a: a, sums)",
        f"{NUMERICS}chunked.py::test_chunks_give_the_step_of_the_whole_batch",
    ),
    Fault(
        "inversion/_warm_prox.py",
        "moved = sum((-pull for pull in pulls), v)",
        "moved = v",
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
        "total = alpha * sum(values, zero)",
        "total = sum(values, zero)",
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
        "inversion/_warm_prox.py",
        "s = 1 / (t * terms.square(v.dtype))",
        "s = 4 / (t * terms.square(v.dtype))",
        "inversion/test_block_descent.py::test_the_guard_ends_the_circling_of_inertia_with_dual_variables",
    ),
    Fault(
        "inversion/_block_descent.py",
        "rose = jnp.logical_not(value <= old.value + slack)",
        "rose = jnp.logical_not(value <= 1.1 * old.value)",
        "inversion/test_block_descent.py::test_the_guarded_energy_never_rises",
    ),
    Fault(
        "inversion/_block_descent.py",
        "value = jnp.where(rose, old.value, value)",
        "value = jnp.maximum(old.value, value)",
        "inversion/test_block_descent.py::test_the_guarded_energy_never_rises",
    ),
    Fault(
        "blocks/_acceleration.py",
        "(jax.vmap(_tree.inner) if self.each else _tree.inner)(back, forth)",
        "_tree.inner(back, forth)",
        "inversion/test_block_descent.py::test_inertia_of_each_example_restarts_alone",
    ),
    Fault(
        "affine/_correlation.py",
        "joined = jnp.stack(shifts)",
        "joined = jnp.stack(shifts[::-1])",
        "contracts/test_affine.py::test_laws[convolution of one channel to many]",
    ),
    Fault(
        "affine/_correlation.py",
        "(0, width + 1 - columns)",
        "(width + 1 - columns, 0)",
        "contracts/test_affine.py::test_laws[convolution]",
    ),
    Fault(
        "networks/_climb.py",
        "theta = {**theta, node.owner: new}",
        "pass",
        "numerics/test_stack.py::test_statistics_of_stacks_are_those_of_their_layers",
    ),
    Fault(
        "inversion/_primal_dual.py",
        "z = (at.z + beyond) / 2",
        "z = beyond",
        "inversion/test_invert.py::test_the_energy_is_the_optimum",
    ),
    Fault(
        "inversion/_primal_dual.py",
        "first = self.iterations - most * self.every",
        "first = self.every",
        "inversion/test_plug_and_play.py::test_a_denoiser_that_is_a_prox_gives_what_its_function_gives",
    ),
    Fault(
        "inversion/_data_step.py",
        "tau = trusted / alpha",
        "tau = trusted",
        "inversion/test_plug_and_play.py::test_a_trained_network_ends_in_a_fixed_point_of_what_is_said",
    ),
    Fault(
        "restoration/_denoiser.py",
        "jnp.asarray(t / self.sigma, jnp.float32)",
        "jnp.asarray(jnp.sqrt(t), jnp.float32)",
        "restoration/test_restore.py::test_a_prox_of_the_denoiser_is_that_of_a_homogeneous_function",
    ),
    Fault(
        "inversion/_linearised_bregman.py",
        "moved = v - tau * data.adjoint(x, r)",
        "moved = x - tau * data.adjoint(x, r)",
        "inversion/test_regularisation.py::test_linearised_with_a_squared_norm_it_is_a_filter_of_singular_values",
    ),
    Fault(
        "inversion/_bregman_iterations.py",
        "part = np.resize(going, count)",
        "part = np.arange(len(x))",
        "inversion/test_regularisation.py::test_outputs_that_have_stopped_are_not_solved_again",
    ),
    Fault(
        "inversion/_bregman_iterations.py",
        "solver.solve(data, prior, a, u, p, p.p)",
        "solver.solve(data, prior, a, u, p)",
        "inversion/test_regularisation.py::test_with_a_squared_norm_they_are_iterated_tikhonov",
    ),
    Fault(
        "inversion/_repeats.py",
        "/ (count - 1)",
        "/ count",
        "inversion/test_regularisation.py::test_repeats_tell_the_noise_of_their_mean",
    ),
    Fault(
        "inversion/_l_curve.py",
        "curvature = (da * ddb - dda * db) / speed",
        "curvature = (dda * db - da * ddb) / speed",
        "inversion/test_regularisation.py::test_the_corner_is_that_of_the_closed_form",
    ),
    Fault(
        "inversion/_landweber.py",
        "return x + step * jnp.where(going, slope, 0), residual",
        "return x + step * slope, residual",
        "inversion/test_landweber.py::test_it_stops_at_the_first_residual_below_the_discrepancy",
    ),
    Fault(
        "inversion/_source.py",
        "term.forward(r) + weight * image), step * weight)",
        "term.forward(r)), step * weight)",
        "inversion/test_source.py::test_of_a_squared_norm_it_is_least_squares",
    ),
    Fault(
        "inversion/_source.py",
        "v = jnp.where(active, -point.p[0] / jnp.asarray(alpha, output.dtype), 0)",
        "v = jnp.where(active, -point.p[0], 0)",
        "inversion/test_source.py::test_a_minimiser_meets_the_condition_and_is_found_to",
    ),
    Fault(
        "inversion/_bounds.py",
        "2 * d * d / a + a * jnp.sum(source**2)",
        "d * d / a + a * jnp.sum(source**2)",
        "inversion/test_source.py::test_four_decades_at_the_rate_of_the_theory",
    ),
    Fault(
        "affine/_selection.py",
        "return first - _taken(_taken(u, rows, 1), columns, 2)",
        "return first",
        "numerics/test_max_pooling.py::test_it_is_the_maximum",
    ),
    Fault(
        "inversion/_certificate.py",
        "q = weight * k.T @ k - m - m.T",
        "q = weight * k.T @ k + m + m.T",
        "inversion/test_certificate.py::test_the_table_of_the_paper",
    ),
    Fault(
        "inversion/_data_step.py",
        "data = jnp.where(dual, _SHARE, 1.0) / (tau * lipschitz)",
        "data = jnp.where(dual, 20 * _SHARE, 1.0) / (tau * lipschitz)",
        "inversion/test_invert.py::test_large_weights_and_a_small_alpha_are_certified",
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
    Fault(
        "exporting/_graph.py",
        "weight.reshape(*u.shape, -1).transpose(2, 0, 1, 3)",
        "weight.reshape(*u.shape, -1).transpose(2, 1, 0, 3)",
        "exporting/test_onnx.py::test_onnxruntime_computes_the_same",
    ),
    Fault(
        "exporting/_graph.py",
        "cuts.append((first, whole - first - shape[axis]))",
        "cuts.append((first, first))",
        "exporting/test_onnx.py::test_onnxruntime_computes_the_same",
    ),
    Fault(
        "exporting/_graph.py",
        "(q.shape[1] // f.heads) ** -0.5",
        "q.shape[1] ** -0.5",
        "exporting/test_onnx.py::test_onnxruntime_computes_the_same[transformer]",
    ),
    Fault(
        "exporting/_graph.py",
        "1 + (axis % rank + (rank == 3)) % rank",
        "1 + axis % rank",
        "exporting/test_onnx.py::test_onnxruntime_computes_the_same[balls]",
    ),
    Fault(
        "exporting/_equinox.py",
        "self._again(weight, bias * factor + offset) + 1",
        "self._again(weight, bias + offset) + 1",
        "exporting/test_equinox.py::test_normalisation_is_folded",
    ),
    Fault(
        "exporting/_equinox.py",
        "self._again(weight, bias * factor + offset) + 1",
        "self._again(weight, bias * factor + offset)",
        "exporting/test_equinox.py::test_a_node_that_is_read_twice_is_not_folded",
    ),
    Fault(
        "estimators/_samples.py",
        "ends = np.cumsum(self.weight)",
        "ends = np.cumsum(self.weight > 0)",
        "estimators/test_estimators.py::test_draws_are_in_proportion",
    ),
    Fault(
        "exporting/_equinox.py",
        "isinstance(potential, Softmax) and rank < 3",
        "isinstance(potential, Softmax)",
        "exporting/test_equinox.py::test_refusals_are_named",
    ),
    Fault(
        "training/_batches.py",
        "rows = np.resize(np.arange(len(x)), self.size)",
        "rows = np.minimum(np.arange(self.size), len(x) - 1)",
        "end_to_end/test_batches.py::test_every_batch_is_a_step_in_the_order_given",
    ),
    Fault(
        "training/_batches.py",
        "if first != self._place or first == 0:",
        "if first == 0:",
        "end_to_end/test_batches.py::test_a_run_goes_on_within_an_epoch",
    ),
    Fault(
        "training/_callbacks.py",
        "improved = value < best - self.least",
        "improved = value < best",
        "end_to_end/test_callbacks.py::test_early_stopping_waits",
    ),
    Fault(
        "training/_callbacks.py",
        "jax.tree.map(np.array, params)",
        "jax.tree.map(np.asarray, params)",
        "end_to_end/test_callbacks.py::test_the_best_is_copied_and_written",
    ),
    Fault(
        "training/_fit.py",
        "carry = carry._replace(state=_continued(before.state, carry.state))",
        "_continued(before.state, carry.state)",
        "estimators/test_estimators.py::test_partial_fits_go_on_with_the_optimiser",
    ),
    Fault(
        "estimators/_estimator.py",
        "block = np.zeros((_ROWS, x.shape[1]), np.float32)",
        "block = np.zeros((len(rows), x.shape[1]), np.float32)",
        "estimators/test_estimators.py::test_a_row_does_not_depend_on_the_rows_beside_it",
    ),
    Fault(
        "estimators/_autoencoder.py",
        "return Network(network.nodes[: code_layer(len(network.nodes))], network.input_shape)",
        "return Network(network.nodes[: len(network.nodes) // 2 + 1], network.input_shape)",
        "estimators/test_estimators.py::test_an_autoencoder_reconstructs",
    ),
    Fault(
        "_commands/_evaluate.py",
        "else load(data).test",
        "else load(data).train",
        "end_to_end/test_cli.py::test_evaluate_measures",
    ),
]

STACK = f"{NUMERICS}stack.py::test_"
BACKWARD = f"{NUMERICS}backward.py::test_"
STACKS = [
    Fault(
        "blocks/_copies.py",
        "own = _put(reached[0], _renamed(here.own, names, stacks), number, self.axis)",
        "own = _put(reached[0], _renamed(here.own, names, stacks), number + 1, self.axis)",
        f"{BACKWARD}one_sweep_through_stacks_is_that_through_layers[chain-None-more0]",
    ),
    Fault(
        "blocks/_copies.py",
        "jnp.concatenate([first[None], inner, last[None]])",
        "jnp.concatenate([last[None], inner, first[None]])",
        f"{BACKWARD}one_sweep_through_stacks_is_that_through_layers[chain-None-more0]",
    ),
    Fault(
        "training/_optimisers.py",
        "return sizes[0] == sizes[1] and bool(apart <= _APART * largest)",
        "return sizes[0] == sizes[1]",
        f"{BACKWARD}optimisers_that_know_layers_are_found[matrices]",
    ),
    Fault(
        "training/_optimisers.py",
        "return sizes[0] == sizes[1] and bool(apart <= _APART * largest)",
        "return bool(apart <= _APART * largest)",
        f"{BACKWARD}optimisers_that_know_layers_are_found[factors]",
    ),
    Fault(
        "blocks/_copies.py",
        "below = _put(below, _renamed(near[1], after, stacks), 1, self.axis)",
        "below = dict(below)",
        f"{NUMERICS}stack.py::test_copies_are_met_as_layers_are[step0-tied]",
    ),
    Fault(
        "blocks/_copies.py",
        "theta = {**_taken({key: params[key] for key in learnt}, self.ends, 0), **theta}",
        "theta = {**theta, **_taken({key: params[key] for key in learnt}, self.ends, 0)}",
        f"{NUMERICS}stack.py::test_sweeps_over_stacks_are_sweeps_over_layers[thresholds-order13-step13]",
    ),
    Fault(
        "networks/_node.py",
        "each = jax.vmap(lambda own, *given: function(self.learnt(own).potential, *given))",
        "each = jax.vmap(lambda _, *given: function(self.potential, *given))",
        f"{NUMERICS}stack.py::test_sweeps_over_stacks_are_sweeps_over_layers[pictures-order4-step4]",
    ),
    Fault(
        "affine/_link.py",
        "return (1, copy - 1) if copy else (0, None)",
        "return (1, max(copy - 1, 1)) if copy else (0, None)",
        f"{NUMERICS}stack.py::test_sweeps_over_stacks_are_sweeps_over_layers[chain-order2-step2]",
    ),
    Fault(
        "blocks/_sweep.py",
        "return loud.union(moved, (c.name for n in moved for c, _ in energy.network.children(n)))",
        "return loud.union(moved)",
        f"{NUMERICS}orders.py::test_what_has_no_slope_yet_does_not_move",
    ),
    Fault(
        "affine/_link.py",
        "jnp.concatenate([first[None], stack[:-1]])",
        "jnp.concatenate([first[None], stack[1:]])",
        f"{STACK}sweeps_over_stacks_are_sweeps_over_layers[chain-order0-step0]",
    ),
    Fault(
        "affine/_link.py",
        "jnp.where(last, 0, jnp.roll(value, -1))",
        "jnp.roll(value, -1)",
        f"{STACK}constants_of_stacks_are_those_of_their_layers[chain]",
    ),
    Fault(
        "networks/_stack.py",
        "if len({name for name, _ in found}) < len(found):",
        "if not found:",
        f"{STACK}the_stacked_network_is_the_network[chain]",
    ),
]

STAGE = "distributed/test_stages.py::test_"
STAGES = [
    Fault(
        "parallel/_cut.py",
        "self.edges += [(reader, down, -1) for reader in readers]",
        "self.edges += [(down, reader, -1) for reader in readers]",
        f"{STAGE}stages_of_operations_are_the_best_of_all",
    ),
    Fault(
        "parallel/_cut.py",
        "pin <= stage",
        "pin < stage",
        f"{STAGE}stages_of_operations_are_the_best_of_all",
    ),
    Fault(
        "parallel/_flat.py",
        "own = all(n or self.homes[v] == stage",
        "own = all(self.homes[v] in (stage, SHARED)",
        f"{STAGE}a_function_of_two_stages",
    ),
    Fault(
        "parallel/_flat.py",
        "if meeting or new[2] & group[2]:",
        "if new[2] & group[2]:",
        f"{STAGE}a_function_of_two_stages",
    ),
    Fault(
        "parallel/_node_stages.py",
        "max(best[k], sums[end] - sums[k])",
        "best[k] + sums[end] - sums[k]",
        f"{STAGE}stages_cost_about_the_same",
    ),
    Fault(
        "training/_engine.py",
        "if problem.reported:",
        "if True:",
        f"{STAGE}a_step_of_descent_passes_four_activations_a_border[differ]",
    ),
    Fault(
        "blocks/_curvature.py",
        "(thin, node.stage)",
        "(thin,)",
        f"{STAGE}a_step_of_descent_passes_four_activations_a_border[equal]",
    ),
    Fault(
        "parallel/_staged.py",
        "jnp.copy(array) if (value, stage) in known else array",
        "array",
        f"{STAGE}memory_that_is_given_up_is_used_again",
    ),
    Fault(
        "parallel/_programs.py",
        "donate_argnums=spent",
        "donate_argnums=()",
        f"{STAGE}memory_that_is_given_up_is_used_again",
    ),
]
