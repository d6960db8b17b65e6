"""What is promised between stages: records, their encoding, ids, manifests, specs and errors. No torch, no Prefect, no I/O."""
