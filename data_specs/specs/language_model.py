"""Settings of a language model, which captions and backgrounds share."""

from typing import ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from data_specs.specs.base import LINEAGE_IF_SET, NOT_LINEAGE, ModelSpec


def server_addresses(listed: str) -> list[str]:
    """Split a comma-separated list of URLs; trailing slashes are removed."""
    return [url.strip().rstrip("/") for url in listed.split(",") if url.strip()]


class LanguageModelSpec(ModelSpec):
    """Which language model is asked, in what form, and how it samples tokens."""

    at: ClassVar[str]
    """Path of these settings within a recipe, for error messages."""

    engine: Literal["vllm", "openai", "transformers", "fake"] = Field(
        default="vllm",
        description="vllm: in the engine's process; openai: a server with the OpenAI API; transformers: slow",
    )
    model: str = Field(
        default="smollm2-135m",
        description="`smollm2-135m` (a package), a local folder, a hub id with `revision`, or its name on a server",
    )
    revision: str | None = Field(
        default=None,
        description="commit of a hub id (required for one), or of the weights that a server was started with",
    )
    chat: bool = Field(
        default=False,
        description="ask in turns, by the model's chat template, as instruct models want; false: have it continue a text",
        json_schema_extra=LINEAGE_IF_SET,
    )
    dtype: Literal["bfloat16", "float16", "float32"] = Field(
        default="bfloat16", description="of the weights; a server has its own"
    )
    temperature: float = Field(default=0.8, ge=0, le=2)
    top_p: float = Field(default=0.9, gt=0, le=1)
    max_tokens: int = Field(
        default=32, ge=4, le=8192, description="of one answer; a model that reasons first needs some hundreds more"
    )
    server: str | None = Field(
        default=None,
        description="engine openai: http://host:port/v1, several separated by commas; null: SYNCLR_API_SERVER",
        json_schema_extra=NOT_LINEAGE,
    )
    concurrency: int = Field(
        default=64,
        ge=1,
        le=4096,
        description="engine openai: requests in flight per engine process",
        json_schema_extra=NOT_LINEAGE,
    )
    timeout: float = Field(
        default=120, gt=0, description="engine openai: seconds allowed per request", json_schema_extra=NOT_LINEAGE
    )
    max_model_len: int = Field(
        default=1024,
        ge=64,
        description="engine vllm: longest prompt and completion together, in tokens",
        json_schema_extra=NOT_LINEAGE,
    )
    tensor_parallel: int = Field(
        default=1,
        ge=1,
        description="engine vllm: GPUs that share one copy of the model",
        json_schema_extra=LINEAGE_IF_SET,
    )
    gpu_memory: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="engine vllm: share of a GPU's memory that it reserves; null: vLLM's default",
        json_schema_extra=NOT_LINEAGE,
    )

    @field_validator("server")
    @classmethod
    def _addresses(cls, server: str | None) -> str | None:
        for url in server_addresses(server or ""):
            parts = urlsplit(url)
            odd = parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment
            if odd or parts.port == 0:  # a port that is no number raises by itself
                raise ValueError("must be http://host:port/v1 or https://...; several are separated by commas")
            if "@" in parts.netloc:  # recipes are kept and shown
                raise ValueError("must hold no name or password; a key goes into the environment (SYNCLR_API_KEY)")
        return server
