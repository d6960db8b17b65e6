"""Faults in `data_specs/`: ids, records, settings."""

from support.faults.fault import Fault

FAULTS = (
    Fault(
        "image-seed-without-attempt",
        "data_specs/ids.py",
        'return seed_of("image", seed, caption, candidate, attempt)',
        'return seed_of("image", seed, caption, candidate)',
        ("tests/data_specs/test_ids.py",),
    ),
    Fault(
        "parts-of-a-digest-run-together",
        "data_specs/ids.py",
        'return hashlib.sha256("\\x1f".join(map(str, parts)).encode()).hexdigest()[:DIGEST_CHARACTERS]',
        'return hashlib.sha256("".join(map(str, parts)).encode()).hexdigest()[:DIGEST_CHARACTERS]',
        ("tests/data_specs/test_ids.py",),
    ),
    Fault(
        "unknown-field-is-accepted",
        "data_specs/wire.py",
        'STRICT = ConfigDict(extra="forbid")',
        'STRICT = ConfigDict(extra="ignore")',
        ("tests/data_specs/test_records.py",),
    ),
    Fault(
        "image-digest-is-not-checked",
        "data_specs/image_group.py",
        "if check_digests and hashlib.sha256(data).hexdigest() != image.sha256:",
        "if check_digests and not data:",
        ("tests/data_specs/test_records.py",),
    ),
    Fault(
        "benchmark-digest-is-not-checked",
        "data_specs/benchmark_image.py",
        "if hashlib.sha256(image.data).hexdigest() != image.sha256:",
        "if not image.data:",
        ("tests/data_specs/test_records.py",),
    ),
    Fault(
        "shares-may-sum-to-less",
        "data_specs/specs/base.py",
        "abs(total - 1) > 1e-6:",
        "total - 1 > 1e-6:",
        ("tests/data_specs/specs/test_run.py",),
    ),
    Fault(
        "password-in-an-address-is-accepted",
        "data_specs/specs/language_model.py",
        'if "@" in parts.netloc:',
        'if "@" in parts.path:',
        ("tests/models/captioner/test_openai.py::test_an_address_that_cannot_be_or_holds_a_secret_is_refused",),
    ),
    Fault(
        "list-of-images-of-another-lineage",
        "data_specs/image_list.py",
        "if digest(json.dumps(head.facts, sort_keys=True)) != head.lineage:",
        "if not head.lineage:",
        ("tests/flows/repair/test_image_lists.py::test_a_list_that_was_changed_or_cut_is_refused",),
    ),
    Fault(
        "only-the-first-shards-are-looked-at",
        "data_specs/stage.py",
        "self.shard(number * self.count // taken)",
        "self.shard(number)",
        ("tests/data_specs/test_stage.py",),
    ),
    Fault(
        "deep-json-ends-a-command",
        "data_specs/json_text.py",
        "except RecursionError:",
        "except MemoryError:",
        ("tests/data_specs/test_json_text.py",),
    ),
)
