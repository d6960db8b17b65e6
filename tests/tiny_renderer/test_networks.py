"""Networks: the loss is that of a straight flow, and the stock pipeline's scheduler walks the same flow back."""

import torch
from torch import Tensor, nn

from tiny_renderer.networks import FLOW_STEPS, LATENT_CHANNELS, LATENT_SIDE, flow_loss, sampling_schedule

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
