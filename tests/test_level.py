"""The Kalman filter of the level, against brute-force Gaussian conditioning and against statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.tsa.statespace.kalman_filter import KalmanFilter

from calibration.noise import (
    MOST_LAG_SECONDS,
    fit_noise,
    most_likely_noise,
    negative_log_likelihood,
    quick_enough,
)
from edge.level import GATE_SIGMAS, Noise, condition, first_level, predict, update


def conditioned(times: list[float], values: list[float], noise: Noise) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and covariance of the last [level, trend] given all observations, by one big Gaussian.

    The state at each time is a linear map of the independent parts (first state, increments).
    """
    first = first_level(values[0], noise)
    mean = [np.array([first.mean, first.trend])]
    covariance = np.array([[first.var, first.cov], [first.cov, first.trend_var]])
    states = [covariance]
    joint = covariance
    for step in np.diff(times):
        move = np.array([[1.0, step], [0.0, 1.0]])
        added = noise.q_level * np.array([[step, 0], [0, 0]]) + noise.q_trend * np.array(
            [[step**3 / 3, step**2 / 2], [step**2 / 2, step]]
        )
        mean.append(move @ mean[-1])
        last = joint[:, -2:] @ move.T
        states.append(move @ joint[-2:, -2:] @ move.T + added)
        joint = np.block([[joint, last], [last.T, states[-1]]])
    picked = np.zeros((len(values) - 1, joint.shape[0]))
    picked[np.arange(len(values) - 1), 2 * np.arange(1, len(values))] = 1.0
    seen = picked @ joint @ picked.T + noise.r * np.eye(len(values) - 1)
    gain = joint @ picked.T @ np.linalg.inv(seen)
    posterior = np.concatenate(mean) + gain @ (np.array(values[1:]) - picked @ np.concatenate(mean))
    return posterior[-2:], (joint - gain @ picked @ joint)[-2:, -2:]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.03, 3.0), st.floats(-5, 5)), min_size=2, max_size=9),
    st.floats(0.01, 2.0),
    st.floats(0.0, 1.0),
    st.floats(0.05, 2.0),
)
def test_filter_equals_brute_force_gaussian_conditioning(
    steps: list[tuple[float, float]], q_level: float, q_trend: float, r: float
) -> None:
    """Over irregular times, the filter's mean and covariance are those of the joint Gaussian."""
    noise = Noise(q_level, q_trend, r)
    times, values = list(np.cumsum([step for step, _ in steps])), [value for _, value in steps]
    level = first_level(values[0], noise)
    for step, value in zip(np.diff(times), values[1:], strict=True):
        level = condition(predict(level, noise, float(step)), value, noise)
    mean, covariance = conditioned(times, values, noise)
    np.testing.assert_allclose([level.mean, level.trend], mean, rtol=1e-6, atol=1e-7)  # inverse of up to 8 × 8
    found = [[level.var, level.cov], [level.cov, level.trend_var]]
    np.testing.assert_allclose(found, covariance, rtol=1e-5, atol=1e-8)


def filtered_by_statsmodels(times: np.ndarray, values: np.ndarray, noise: Noise) -> KalmanFilter:
    """Statsmodels' filter of the same model, with a transition of its own for every step."""
    first, steps = first_level(float(values[0]), noise), np.diff(times)
    still = np.zeros_like(steps)
    transition = np.array([[still + 1.0, steps], [still, still + 1.0]])
    drift = noise.q_level * np.array([[steps, still], [still, still]]) + noise.q_trend * np.array(
        [[steps**3 / 3, steps**2 / 2], [steps**2 / 2, steps]]
    )
    model = KalmanFilter(k_endog=1, k_states=2)
    model.bind(np.ascontiguousarray(values[1:, None]))
    model["design"], model["obs_cov"] = np.array([[1.0, 0.0]]), np.array([[noise.r]])
    model["selection"] = np.eye(2)
    # Its state at a step is already that before the step's observation: the first is ours, moved by the first step.
    prior = predict(first, noise, float(steps[0]))
    following = [np.concatenate([part[..., 1:], part[..., -1:]], axis=-1) for part in (transition, drift)]
    model["transition"], model["state_cov"] = following
    model.initialize_known(
        np.array([prior.mean, prior.trend]), np.array([[prior.var, prior.cov], [prior.cov, prior.trend_var]])
    )
    return model.filter()


def test_filter_and_likelihood_equal_those_of_statsmodels_over_irregular_times() -> None:
    """State, covariance and log likelihood of 400 frames with gaps are those of an established library."""
    rng = np.random.default_rng(2)
    noise = Noise(0.7, 0.05, 0.4)
    times, values = np.cumsum(rng.choice([0.1, 0.1, 0.1, 0.4, 5.0], 400)), np.cumsum(rng.normal(0, 1, 400))
    theirs = filtered_by_statsmodels(times, values, noise)
    level = first_level(float(values[0]), noise)
    for number, step in enumerate(np.diff(times).tolist()):
        level = condition(predict(level, noise, step), float(values[number + 1]), noise)
        np.testing.assert_allclose([level.mean, level.trend], theirs.filtered_state[:, number], rtol=1e-8, atol=1e-8)
        found = [[level.var, level.cov], [level.cov, level.trend_var]]  # both are double precision
        np.testing.assert_allclose(found, theirs.filtered_state_cov[..., number], rtol=1e-8, atol=1e-10)
    constant = 0.5 * np.log(2.0 * np.pi) * 399  # we leave it out
    assert negative_log_likelihood([(times, values)], noise) + constant == pytest.approx(-theirs.llf, rel=1e-9)


def test_maximum_likelihood_finds_what_statsmodels_holds_most_likely() -> None:
    """No noise near the one found, by a tenth more or less of each part, is more likely to statsmodels."""
    rng = np.random.default_rng(3)
    level = np.cumsum(rng.normal(0, 0.3, 1500))
    times, values = np.arange(1500) * 0.1, level + rng.normal(0, 1.0, 1500)
    found = most_likely_noise([(times, values)], 10.0)
    best = filtered_by_statsmodels(times, values, found).llf
    for factor in (0.9, 1.1):
        for near in (
            Noise(found.q_level * factor, found.q_trend, found.r),
            Noise(found.q_level, found.q_trend, found.r * factor),
        ):
            assert filtered_by_statsmodels(times, values, near).llf <= best + 0.05  # the search stops at 0.05


def test_the_stated_uncertainty_is_that_of_the_errors_made() -> None:
    """Over 4,000 frames of a known level, its error is within one stated deviation in two of three frames."""
    rng = np.random.default_rng(4)
    noise = Noise(1.0, 0.0, 0.5)
    truth = np.cumsum(rng.normal(0, np.sqrt(noise.q_level * 0.1), 4000))
    level, inside = first_level(float(truth[0]), noise), 0
    for value in truth[1:]:
        level, _ = update(predict(level, noise, 0.1), float(value + rng.normal(0, np.sqrt(noise.r))), noise)
        inside += abs(level.mean - value) <= level.sd
    assert inside / 3999 == pytest.approx(0.683, abs=0.05)  # errors are correlated over 4 frames: ±0.015 each way


def test_one_wild_frame_moves_the_level_no_further_than_the_gate() -> None:
    """A single outlier of any height counts as one that stands at the gate."""
    noise = Noise(0.5, 0.0, 1.0)
    level = first_level(0.0, noise)
    for _ in range(20):
        level, _ = update(predict(level, noise, 0.1), 0.0, noise)
    prior = predict(level, noise, 0.1)
    wild, z = update(prior, 1e6, noise)
    assert z > GATE_SIGMAS
    assert wild.mean <= GATE_SIGMAS * (prior.var + noise.r) ** 0.5
    calm, _ = update(predict(wild, noise, 0.1), 0.0, noise)
    assert calm.mean < wild.mean


def test_a_change_that_stays_is_believed_at_its_second_frame() -> None:
    """Two gated innovations on one side in a row open the filter."""
    noise = Noise(0.5, 0.0, 1.0)
    level = first_level(0.0, noise)
    for _ in range(20):
        level, _ = update(predict(level, noise, 0.1), 0.0, noise)
    for _ in range(2):
        level, _ = update(predict(level, noise, 0.1), 50.0, noise)
    assert level.mean > 40.0


def test_a_gap_in_time_makes_the_level_less_certain() -> None:
    """The longer nothing was seen, the larger the variance of the prediction."""
    level, noise = first_level(1.0, Noise(0.2, 0.01, 1.0)), Noise(0.2, 0.01, 1.0)
    variances = [predict(level, noise, seconds).var for seconds in (0.1, 1.0, 10.0)]
    assert variances == sorted(variances)
    assert variances[-1] > variances[0] + 1.9  # q_level × 9.9 s alone


def test_maximum_likelihood_finds_the_noise_that_made_the_data() -> None:
    """On 5,000 frames of a drifting level, r and q_level come out within a third of the truth."""
    rng = np.random.default_rng(0)
    truth = Noise(2.0, 0.0, 0.5)
    level = np.cumsum(rng.normal(0, np.sqrt(truth.q_level * 0.1), 5000))
    track = (np.arange(5000) * 0.1, level + rng.normal(0, np.sqrt(truth.r), 5000))
    found = fit_noise([track], 10.0)
    assert found.r == pytest.approx(truth.r, rel=0.33)
    assert found.q_level == pytest.approx(truth.q_level, rel=0.33)
    assert negative_log_likelihood([track], found) <= negative_log_likelihood([track], truth) + 5


def test_white_surprise_still_gives_a_filter_that_follows_a_step() -> None:
    """Whatever the likelihood says, two thirds of a step are followed within the stated lag."""
    rng = np.random.default_rng(1)
    noise = fit_noise([(np.arange(1000) * 0.1, rng.normal(0, 1, 1000))], 10.0)
    assert noise == quick_enough(noise, 10.0)
    level = first_level(0.0, noise)
    for _ in range(100):
        level = condition(predict(level, noise, 0.1), 0.0, noise)
    for _ in range(round(MOST_LAG_SECONDS * 10)):
        level = condition(predict(level, noise, 0.1), 1.0, noise)
    assert level.mean > 0.6
