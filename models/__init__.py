"""What has weights: engines behind a Protocol, the encoder, its losses and probes. Knows no shard, run or Prefect."""
