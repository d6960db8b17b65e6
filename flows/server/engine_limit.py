"""The server's limit on stages that hold engines, over all its runs."""

ENGINE_LIMIT = "synclr-engines"
"""A GPU, or a laptop's cores, serve one stage at a time. `synclr deploy` sets it; on a server without it nothing is limited."""
LEASE_SECONDS = 60
"""So long the slot of a run that was killed stays taken; Prefect renews it while the run lives, and asks for no less."""
