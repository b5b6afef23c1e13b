"""The table of plausible mistakes that `make mutants` puts into the source."""

from tests.fault import Fault
from tests.faults_around import FILES, IMPORTING, INVERSION, STACKS, STAGES

NUMERICS = "numerics/test_"
STEPS, SOLVE = f"{NUMERICS}block_steps.py::test_", f"{NUMERICS}solve.py::test_"
ORDERS, METRIC = f"{NUMERICS}orders.py::test_", f"{NUMERICS}metric.py::test_"
BLOCKS, LOSSES = f"{NUMERICS}blocks.py::test_", f"{NUMERICS}losses.py::test_"
DIRECTIONS, ENERGY = f"{NUMERICS}directions.py::test_", f"{NUMERICS}energy.py::test_"
LEARNT, METHODS = f"{NUMERICS}learnt.py::test_", f"{NUMERICS}methods.py::test_"
POTENTIAL, PENALTY = "contracts/test_potentials.py::test_", "contracts/test_penalties.py::test_"
AFFINE, LAYERS = "contracts/test_affine.py::test_", "contracts/test_affine_layers.py::test_"

POTENTIALS = [
    Fault(
        "potentials/_leaky_relu.py",
        "a / (a + t * (1 - a)) * v)",
        "a / (a + (1 - a)) * v)",
        f"{POTENTIAL}prox_against_a_grid[leaky_relu(0.2)]",
    ),
    Fault(
        "potentials/_soft_threshold.py",
        "_shrink(v, jnp.asarray(tau, v.dtype) * jnp.asarray(self.threshold, v.dtype))",
        "_shrink(v, jnp.asarray(self.threshold, v.dtype))",
        f"{POTENTIAL}prox_against_a_grid[soft_threshold(0.3)]",
    ),
    Fault(
        "potentials/_sigmoid.py",
        "xlogy(w, w) + xlog1py(1 - w, -w) - 0.5 * w * w",
        "xlogy(w, w) + xlog1py(1 - w, -w)",
        f"{POTENTIAL}prox_against_a_grid[sigmoid]",
    ),
    Fault(
        "potentials/_clip.py",
        "0.5 * z * z)",
        "z * z)",
        f"{POTENTIAL}law[clip-float64-the activation is the gradient of phi*]",
    ),
    Fault(
        "potentials/_ball.py",
        "jnp.sum(nearest * (size - 0.5 * nearest))",
        "0.5 * jnp.sum(nearest * nearest)",
        f"{POTENTIAL}law[ball(0.7)-float64-the activation is the gradient of phi*]",
    ),
    Fault(
        "potentials/_elastic_net.py",
        "(rho, math.inf, slope, -slope * rho)",
        "(rho, math.inf, slope, slope * rho)",
        f"{SOLVE}quadratic_prox_in_z[elastic_net]",
    ),
    Fault(
        "potentials/_huber.py",
        "self.weight * self.delta, (1 + self.weight) * self.delta",
        "self.weight * self.delta, self.delta",
        f"{SOLVE}quadratic_prox_in_z[huber(0.3, 2)]",
    ),
]

PENALTIES = [
    Fault(
        "penalties/_penalty.py",
        "potential.prox(v / (1 + tau), tau / (1 + tau))",
        "potential.prox(v / (1 + tau), tau)",
        f"{PENALTY}residual_linear_and_prox_belong_to_the_value[bregman-soft_threshold]",
    ),
    Fault(
        "penalties/_bregman.py",
        "potential.activation(z) - u",
        "u - potential.activation(z)",
        f"{PENALTY}residual_linear_and_prox_belong_to_the_value[bregman-relu]",
    ),
    Fault(
        "penalties/_bregman.py",
        "w - t * prox_phi(potential, w / t, 1 / t)",
        "w - prox_phi(potential, w / t, 1 / t)",
        f"{SOLVE}bregman_prox_in_z[relu]",
    ),
    Fault(
        "penalties/_bregman.py",
        "potential.phi_conjugate(z) + own",
        "potential.phi_conjugate(z) - own",
        f"{LEARNT}gradient_of_the_energy",
    ),
    Fault(
        "penalties/_bregman.py",
        "if dual is None else -potential.phi_conjugate(dual)",
        "if dual is None else potential.phi_conjugate(dual)",
        f"{LEARNT}one_sweep_tends_to_back_propagation",
    ),
    Fault(
        "penalties/_quadratic.py",
        "return pull(out - u)[0]",
        "return out - u",
        f"{PENALTY}residual_linear_and_prox_belong_to_the_value[quadratic-tanh]",
    ),
    Fault(
        "penalties/_quadratic.py",
        "(v + t * a * (u - b)) / (1 + t * a * a)",
        "(v + t * a * (u - b)) / (1 + t * a)",
        f"{SOLVE}quadratic_prox_in_z[leaky_relu(0.2)]",
    ),
    Fault(
        "penalties/_quadratic.py",
        "z = jnp.clip(z, jnp.asarray(low, v.dtype), jnp.asarray(high, v.dtype))",
        "z = jnp.clip(z, jnp.asarray(low, v.dtype))",
        f"{SOLVE}quadratic_prox_in_z[soft_threshold(0.3)]",
    ),
    Fault(
        "penalties/_lifted.py",
        "(v + t * u) / (1 + t)",
        "(v + u) / (1 + t)",
        f"{SOLVE}lifted_prox_in_z",
    ),
    Fault(
        "penalties/_envelope.py",
        "(error - self.function.prox(error, self.smoothing)) / self.smoothing",
        "error - self.function.prox(error, self.smoothing)",
        f"{LOSSES}residual_is_the_gradient_and_smooth[absolute]",
    ),
    Fault(
        "penalties/_hinge.py",
        "jnp.clip((1 - sign * z) / self.smoothing, 0, 1)",
        "jnp.clip(1 - sign * z, 0, 1)",
        f"{LOSSES}residual_is_the_gradient_and_smooth[hinge]",
    ),
]

OBJECTIVES = [
    Fault(
        "objectives/_lifted.py",
        "return z - self.offsets[name] if",
        "return z + self.offsets[name] if",
        f"{SOLVE}activations_of_a_split_network_are_minimised",
    ),
    Fault(
        "objectives/_lifted.py",
        "{n: SoftThreshold(factor * s.threshold) for",
        "{n: SoftThreshold(s.threshold) for",
        f"{STEPS}a_nudge_weights_the_loss_and_the_activity",
    ),
    Fault(
        "objectives/_lifted.py",
        "scaled(self.weight(name), residual(states[name], z[name]))",
        "residual(states[name], z[name])",
        f"{ENERGY}gradients_are_those_of_the_definition[skips-bregman]",
    ),
    Fault(
        "objectives/_lifted.py",
        "    return weight.reshape(-1, weight.shape[-1])",
        "    return weight.reshape(weight.shape[0], -1)",
        f"{NUMERICS}regularisers.py::test_a_kernel_is_the_matrix_of_its_patches",
    ),
]

BLOCK_STEPS = [
    Fault(
        "blocks/_acceleration.py",
        "jnp.where(turned, jnp.ones_like(t), t)",
        "t",
        f"{STEPS}inertia_by_hand",
    ),
    Fault(
        "blocks/_acceleration.py",
        "return ahead(self.inertia), ahead(self._beta)",
        "return ahead(self._beta), ahead(self.inertia)",
        f"{STEPS}inertia_by_hand",
    ),
    Fault(
        "blocks/_acceleration.py",
        "lambda m: m / (1 - a**count), first",
        "lambda m: m, first",
        f"{STEPS}adam_is_optax_adam_without_regularisers",
    ),
    Fault(
        "blocks/_step.py",
        "return Memory(sizes, self.acceleration.init(block.x))",
        "return Memory(sizes, memory.momentum)",
        f"{STEPS}a_restart_drops_the_inertia[nesterov]",
    ),
    Fault(
        "blocks/_step_size.py",
        "+ 0.5 * _tree.inner(move, move) / tau",
        "+ _tree.inner(move, move) / tau",
        f"{STEPS}backtracking_accepts_the_first_step_with_a_majorant",
    ),
    Fault(
        "blocks/_step_size.py",
        "longest = self.growth * state",
        "longest = state",
        f"{STEPS}backtracking_accepts_the_first_step_with_a_majorant",
    ),
    Fault(
        "blocks/_parameter_block.py",
        "jnp.asarray((v + c * a) / (1 + c), v.dtype)",
        "jnp.asarray(v + c * a, v.dtype)",
        f"{STEPS}prox_of_parameters_with_an_anchor[False]",
    ),
    Fault(
        "blocks/_parameter_block.py",
        "jax.tree.map(lambda s, c: s / (1 + c), step, pull)",
        "step",
        f"{STEPS}prox_of_parameters_with_an_anchor[False]",
    ),
    Fault(
        "blocks/_parameter_block.py",
        "scale = 1 / states[INPUT].shape[0]",
        "scale = 1.0",
        f"{ORDERS}interleaved_descent_by_hand",
    ),
    Fault(
        "blocks/_state_block.py",
        "signals, name) - target(energy, z[name], name)",
        "signals, name) + target(energy, z[name], name)",
        f"{ORDERS}interleaved_descent_by_hand",
    ),
    Fault(
        "blocks/_state_block.py",
        "cost: Any = penalty.smooth if",
        "cost: Any = penalty.value if",
        f"{STEPS}a_block_knows_its_value_and_gradient[residual-bregman]",
    ),
    Fault(
        "blocks/_state_block.py",
        "penalty.prox(potential, v, scaled(energy.weight(name), t))",
        "penalty.prox(potential, v, t)",
        f"{ENERGY}state_step_minimises_its_majorant[False-bregman]",
    ),
    Fault(
        "blocks/_curvature.py",
        "met = met + 1 if node.name in group else met",
        "met = met",
        f"{STEPS}constants_of_simultaneous_moves_bound_the_hessian[chain]",
    ),
    Fault(
        "blocks/_curvature.py",
        "_delivered(totals, node, k, scaled(factor, own * met))",
        "_delivered(totals, node, k, scaled(factor, own * own))",
        f"{STEPS}constants_of_simultaneous_moves_bound_the_hessian[skip]",
    ),
    Fault(
        "blocks/_curvature.py",
        "scaled(energy.weight(node.name), sum(moving.values(), jnp.zeros((), dtype)))",
        "sum(moving.values(), jnp.zeros((), dtype))",
        f"{STEPS}constants_of_simultaneous_moves_bound_the_hessian[chain]",
    ),
    Fault(
        "blocks/_curvature.py",
        "moving.items() if other != k), start=own)",
        "moving.items() if node.parents[other] != node.parents[k]), start=own)",
        f"{ORDERS}the_constant_of_a_node_that_is_a_parent_thrice",
    ),
    Fault(
        "blocks/_curvature.py",
        "lambda g: g / samples, gradient",
        "lambda g: g, gradient",
        f"{BLOCKS}parameter_curvature_is_the_norm_of_the_design[skips]",
    ),
    Fault(
        "blocks/_sweep.py",
        "    z = {**sweep.z, **{n: energy.preactivation(params, states, n) for n in touched}}",
        "    z = sweep.z if touched else {}",
        f"{ORDERS}pre_activations_follow_their_parents",
    ),
    Fault(
        "blocks/_order.py",
        "jnp.argmax(progress())",
        "jnp.argmin(progress())",
        f"{ORDERS}gauss_southwell_takes_the_largest_move",
    ),
    Fault(
        "blocks/_order.py",
        "if not neighbours[name].intersection(c))",
        "if neighbours[name].intersection(c))",
        f"{BLOCKS}orders_hold_every_free_node_once",
    ),
]

CLOSED_FORMS = [
    Fault(
        "blocks/_solve.py",
        "corner = -exact(",
        "corner = exact(",
        f"{SOLVE}the_factor_by_halves_is_choleskys[45]",
    ),
    Fault(
        "blocks/_design.py",
        "sums = ones * jnp.sum(rows, axis=0)[None]",
        "sums = 0 * ones * jnp.sum(rows, axis=0)[None]",
        f"{METRIC}the_implicit_step_is_the_dense_solve",
    ),
    Fault(
        "blocks/_design.py",
        "else gram + ones * ones",
        "else gram",
        f"{METRIC}the_implicit_step_is_the_dense_solve",
    ),
    Fault(
        "blocks/_sweep.py",
        "if len(children(name)) > 1 else u",
        "if len(children(name)) > 9 else u",
        f"{NUMERICS}work.py::test_a_sweep_along_shortcuts_grows_with_the_depth_only",
    ),
    Fault(
        "training/_products.py",
        "a, b, left, right = b, a, right, left",
        "a, b, left, right = a, b, right, left",
        f"{NUMERICS}products.py::test_products_are_those_of_rounded_factors",
    ),
    Fault(
        "training/_products.py",
        "== (jax.lax.Precision.HIGHEST,) * 2",
        "== (jax.lax.Precision.HIGH,) * 2",
        f"{NUMERICS}products.py::test_whatever_is_no_product_of_single_matrices_stays",
    ),
    Fault(
        "blocks/_solve.py",
        "(g - scale * rows.T @ cholesky_solve(",
        "(g - rows.T @ cholesky_solve(",
        f"{SOLVE}parameters_are_ridge_regression[3]",
    ),
    Fault(
        "blocks/_solve.py",
        "scale = jnp.asarray(factors[0], rows.dtype) / samples",
        "scale = jnp.asarray(factors[0], rows.dtype)",
        f"{SOLVE}parameters_are_ridge_regression[12]",
    ),
    Fault(
        "blocks/_solve.py",
        "tau = jnp.asarray(energy.weight(child.name), u.dtype) / total",
        "tau = jnp.asarray(energy.weight(child.name), u.dtype)",
        f"{SOLVE}activations_of_a_split_network_are_minimised",
    ),
    Fault(
        "blocks/_solve.py",
        "    return found + shift",
        "    return found",
        f"{SOLVE}activations_of_a_split_network_are_minimised",
    ),
    Fault(
        "blocks/_solve.py",
        "right = gradient + weight * u",
        "right = gradient",
        f"{SOLVE}activations_before_other_maps_are_minimised",
    ),
    Fault(
        "blocks/_solve.py",
        "gram = gram + scaled(factor, w @ w.T)",
        "gram = gram + w @ w.T",
        f"{SOLVE}activations_of_a_split_network_are_minimised",
    ),
    Fault(
        "blocks/_metric.py",
        "cholesky_solve(gram, samples / self.step_size, right)",
        "cholesky_solve(gram, 1 / self.step_size, right)",
        f"{METRIC}the_implicit_step_is_the_dense_solve[dense, more rows]",
    ),
    Fault(
        "blocks/_metric.py",
        "wide[node.name] = len(signal) * found",
        "wide[node.name] = found",
        f"{METRIC}the_implicit_step_is_the_dense_solve[dense, fewer rows]",
    ),
    Fault(
        "blocks/_design.py",
        "rows, ones = _rows(affine.map, (affine.combined(inputs),))",
        "rows, ones = _rows(affine.map, inputs[:1])",
        f"{METRIC}the_implicit_step_is_the_dense_solve[tied]",
    ),
    Fault(
        "blocks/_hyper.py",
        "asarray(factor / len(z[name])",
        "asarray(factor",
        f"{LEARNT}gradient_of_the_energy",
    ),
]

MAPS = [
    Fault(
        "affine/_correlation.py",
        "jnp.swapaxes(w[::-1, ::-1], 2, 3)",
        "jnp.swapaxes(w, 2, 3)",
        f"{AFFINE}laws[convolution strided]",
    ),
    Fault(
        "affine/_convolution.py",
        "for i in range(self.kernel[0])\n            for j in range(self.kernel[1])",
        "for j in range(self.kernel[1])\n            for i in range(self.kernel[0])",
        f"{METRIC}rows_meet_the_weights[convolution, same]",
    ),
    Fault(
        "affine/_pooling.py",
        "jnp.asarray(1 / (wh * ww), u.dtype)",
        "jnp.asarray(1 / wh, u.dtype)",
        f"{LAYERS}pooling_against_xla[pooling with overlap]",
    ),
    Fault(
        "affine/_scores.py",
        "split.shape[-1] ** -0.5",
        "split.shape[-1] ** -1.0",
        f"{LAYERS}attention_of_heads",
    ),
]

METHOD_STEPS = [
    Fault(
        "methods/_one_sweep.py",
        "scaled(1 / (beta * size * weight) if",
        "scaled(1 / (beta * tau * weight) if",
        f"{METHODS}a_slope_scales_the_signal_as_documented",
    ),
    Fault(
        "methods/_one_sweep.py",
        "change if before is None else before + change",
        "change if before is None else before / beta + change",
        f"{METHODS}one_sweep_of_the_lifted_penalty_tends_to_the_gradient_of_its_energy",
    ),
    Fault(
        "methods/_one_sweep.py",
        "tau * (beta * pulled - target",
        "tau * (pulled - target",
        f"{METHODS}a_slope_scales_the_signal_as_documented",
    ),
    Fault(
        "methods/_implicit_sgd.py",
        "swept.z, (params, tau))",
        "swept.z, (theta, tau))",
        f"{METHODS}implicit_step_is_the_minimiser",
    ),
    Fault(
        "methods/_contrastive.py",
        "distance = 2 * self.beta if self.centred else self.beta",
        "distance = self.beta",
        f"{NUMERICS}contrastive.py::test_the_gradient_tends_to_back_propagation[True]",
    ),
    Fault(
        "methods/_aggregated.py",
        "jax.tree.map(jnp.add, state.mean, change) if",
        "jax.tree.map(jnp.add, mean, change) if",
        f"{DIRECTIONS}every_draw_gives_the_step_by_hand[saga]",
    ),
    Fault(
        "methods/_aggregated.py",
        "lambda m, c: m + c / count",
        "lambda m, c: m + c",
        f"{DIRECTIONS}every_draw_gives_the_step_by_hand[sag]",
    ),
    Fault(
        "methods/_aggregated.py",
        "jax.tree.map(lambda p: p[0], state.past)",
        "jax.tree.map(lambda p: p[-1], state.past)",
        f"{DIRECTIONS}delayed_gradients_by_hand[3]",
    ),
    Fault(
        "methods/_multipliers.py",
        "old + self.rate * (terms[name] - bound(name))",
        "old - self.rate * (terms[name] - bound(name))",
        f"{NUMERICS}multipliers.py::test_dual_ascent_is_projected_gradient_ascent",
    ),
    Fault(
        "methods/_multipliers.py",
        "{name: states[name] - z[name] for name in state}",
        "{name: z[name] - states[name] for name in state}",
        f"{NUMERICS}multipliers.py::test_admm_reaches_feasible_least_squares",
    ),
    Fault(
        "methods/_block_coordinate_descent.py",
        "if n.owner in moved]",
        "if n.name in part]",
        f"{ORDERS}interleaved_descent_with_tied_parameters",
    ),
    Fault(
        "methods/_gradient_method.py",
        "        if energy.regularisers:\n            new =",
        "        if False:\n            new =",
        f"{NUMERICS}regularisers.py::test_constraints_hold_after_a_step[spectral-one sweep]",
    ),
]

FAULTS = [
    *STACKS,
    *STAGES,
    *INVERSION,
    *POTENTIALS,
    *PENALTIES,
    *OBJECTIVES,
    *BLOCK_STEPS,
    *CLOSED_FORMS,
    *MAPS,
    *METHOD_STEPS,
    *FILES,
    *IMPORTING,
]
