"""Networks: the loss is that of a straight flow, and the stock pipeline's scheduler walks the same flow back."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tiny_renderer.networks import FLOW_STEPS, LATENT_CHANNELS, LATENT_SIDE, flow_loss, sampling_schedule
from tiny_renderer.train_denoiser import SUBJECT, cell_weights

CLEAN = torch.randn(64, LATENT_CHANNELS, LATENT_SIDE, LATENT_SIDE, generator=torch.Generator().manual_seed(7))


class Knowing(nn.Module):
    """A denoiser that knows the clean latents, and so says the true velocity at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.times = torch.zeros(0)

    def forward(self, noisy: Tensor, times: Tensor, *_: object, **__: object) -> tuple[Tensor]:
        self.times = times / FLOW_STEPS
        return ((noisy - CLEAN[: len(noisy)]) / self.times.expand(len(noisy))[:, None, None, None],)


def test_a_network_that_knows_the_answer_has_no_loss_and_sees_all_times() -> None:
    denoiser = Knowing()
    loss = flow_loss(denoiser, CLEAN, torch.zeros(64, 1, 1), torch.Generator().manual_seed(0))  # type: ignore[arg-type]
    assert float(loss) < 1e-6
    assert denoiser.times.min() < 0.2 and denoiser.times.max() > 0.9 and 0.5 < denoiser.times.median() < 0.7


def test_the_shipped_scheduler_ends_where_a_true_velocity_points() -> None:
    schedule = sampling_schedule()
    schedule.set_timesteps(12)
    latents = torch.randn(CLEAN.shape, generator=torch.Generator().manual_seed(1)) * schedule.init_noise_sigma
    for step in schedule.timesteps:
        velocity = (latents - CLEAN) / schedule.sigmas[schedule.index_for_timestep(step)]
        latents = schedule.step(velocity, step, latents).prev_sample
    assert torch.allclose(latents, CLEAN, atol=1e-3)


def test_cells_count_by_their_weights() -> None:
    class Silent(nn.Module):
        def forward(self, noisy: Tensor, *_: object, **__: object) -> tuple[Tensor]:
            return (torch.zeros_like(noisy),)

    def loss(weights: Tensor | None) -> float:
        draw = torch.Generator().manual_seed(0)
        return float(flow_loss(Silent(), CLEAN, torch.zeros(64, 1, 1), draw, weights))  # type: ignore[arg-type]

    left = torch.zeros(64, LATENT_SIDE, LATENT_SIDE)
    left[:, :, : LATENT_SIDE // 2] = 1
    assert loss(torch.full_like(left, 7.0)) == pytest.approx(loss(None), rel=1e-5)
    assert (loss(left) + loss(1 - left)) / 2 == pytest.approx(loss(None), rel=1e-5) and loss(left) != loss(1 - left)


def test_a_cell_weighs_more_the_more_of_it_shows_a_concept() -> None:
    shows = np.zeros((64, 64), np.uint8)
    shows[:4, :4], shows[8:10, 8:12], shows[63, 63] = 1, 2, 1
    weights = cell_weights(shows, LATENT_SIDE)
    assert weights.shape == (16, 16) and weights[0, 0] == SUBJECT and weights[2, 2] == (1 + SUBJECT) / 2
    assert weights[15, 15] == 1 + (SUBJECT - 1) / 16 and weights[5, 5] == 1
