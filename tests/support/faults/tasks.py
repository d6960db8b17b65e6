"""Faults in `tasks/`: shards and storage, concepts, captions, images."""

from support.faults.fault import Fault

SHARDS = "tests/tasks/test_shards.py"
STORAGE = "tests/tasks/test_storage.py"
SELECT = "tests/tasks/captions/test_select.py"
RENDER = "tests/tasks/images/test_render.py"
CANDIDATES = "tests/tasks/images/test_candidates.py"

FAULTS = (
    Fault(
        "manifest-before-its-data",
        "tasks/shards.py",
        "        for suffix, part in parts.items():\n"
        "            storage.publish(part, address.data_file(suffix, files[suffix]))\n",
        "        early = ShardManifest(\n"
        "            stage=address.stage, lineage=address.lineage, index=address.index, record=contract.name,\n"
        "            accepted=accepted, rejected=dict(sorted(rejected.items())), files=files,\n"
        "        )\n"
        '        storage.write_bytes(address.file("json"), early.model_dump_json(indent=2).encode(), apart=True)\n'
        "        for suffix, part in parts.items():\n"
        "            storage.publish(part, address.data_file(suffix, files[suffix]))\n",
        (SHARDS,),
    ),
    Fault(
        "reject-is-counted-and-not-written",
        "tasks/shards.py",
        '                rejects.write(json.dumps(asdict(outcome), ensure_ascii=False) + "\\n")\n',
        "",
        (SHARDS,),
    ),
    Fault(
        "member-that-reaches-outside",
        "tasks/shards.py",
        'if not item.isreg() or path.is_absolute() or ".." in path.parts:',
        "if not item.isreg() or path.is_absolute():",
        (SHARDS,),
    ),
    Fault(
        "only-the-size-of-a-file-is-checked",
        "tasks/file_digests.py",
        "    if found == promised:\n",
        "    if found.bytes == promised.bytes:\n",
        (SHARDS,),
    ),
    Fault(
        "time-of-writing-in-a-tar",
        "tasks/shards.py",
        "TarWriter(stream, mtime=0.0)",
        "TarWriter(stream)",
        (SHARDS,),
    ),
    Fault(
        "shard-that-was-waited-for-is-made-again",
        "tasks/shards.py",
        "manifest = sealed(address) or _write(",
        "manifest = _write(",
        (SHARDS,),
    ),
    Fault(
        "damaged-files-go-before-the-manifest",
        "tasks/shard_leftovers.py",
        "sorted(here, key=lambda entry: entry != manifest)",
        "sorted(here, key=lambda entry: entry == manifest)",
        (SHARDS,),
    ),
    Fault(
        "late-host-seals-over-the-first",
        "tasks/storage.py",
        "        os.link(part, target)\n",
        "        os.replace(part, target)\n",
        (SHARDS, STORAGE),
    ),
    Fault(
        "data-files-of-two-hosts-have-one-name",
        "data_specs/shard.py",
        'return f"{self.stem}.{content.sha256[:MARK_CHARACTERS]}.{suffix}"',
        'return f"{self.stem}.{suffix}"',
        (SHARDS,),
    ),
    Fault(
        "files-that-may-be-sealed-any-moment-are-swept",
        "tasks/shard_leftovers.py",
        "for name in names if kept in names else ():",
        "for name in names:",
        (SHARDS,),
    ),
    Fault(
        "listing-in-the-order-of-the-disk",
        "tasks/storage.py",
        "return sorted(entry.name for entry in here.iterdir()) if here.is_dir() else []",
        "return [entry.name for entry in here.iterdir()] if here.is_dir() else []",
        (f"{STORAGE}::test_a_folder_is_listed_by_name_whatever_the_order_of_its_disk",),
    ),
    Fault(
        "files-of-living-processes-are-swept",
        "tasks/storage.py",
        'return not Path(f"/proc/{process}").exists()',
        "return True",
        (f"{STORAGE}::test_what_a_dead_process_left_is_swept_and_what_a_living_one_writes_is_not",),
    ),
    Fault(
        "listing-of-a-bucket-is-remembered",
        "tasks/storage.py",
        "fsspec.core.url_to_fs(url, use_listings_cache=False)",
        "fsspec.core.url_to_fs(url)",
        (f"{STORAGE}::test_what_another_process_has_put_on_s3_since_is_listed",),
        slow=True,
    ),
    Fault(
        "copies-stay-after-the-last-reader",
        "tasks/mapped.py",
        "        if _is(path, stream):\n            path.unlink()\n",
        "        _is(path, stream)\n",
        ("tests/tasks/test_mapped.py",),
    ),
    Fault(
        "edited-backgrounds-keep-their-lineage",
        "tasks/concepts/sources.py",
        "    for path in _files(source):\n        digest.update(list_files.read(path))\n",
        "    for path in _files(source)[:1]:\n        digest.update(list_files.read(path))\n",
        ("tests/tasks/concepts/test_sources.py",),
    ),
    Fault(
        "category-shared-among-all-objects",
        "tasks/concepts/weights.py",
        "spec.categories.get(concept.category, 0.0) / objects[concept.category]",
        "spec.categories.get(concept.category, 0.0) / per_kind[concept.kind]",
        ("tests/tasks/concepts/test_ingest.py",),
    ),
    Fault(
        "merged-name-is-no-reject",
        "tasks/concepts/ingest.py",
        '            rejects.append(Rejection(key, "merged", _merger(entry, name, known)))\n',
        "",
        ("tests/tasks/concepts/test_ingest.py",),
    ),
    Fault(
        "caption-is-asked-again-with-its-seed",
        "tasks/captions/planning.py",
        'return seed_of("caption", seed, plan.shard, plan.slot, attempt)',
        'return seed_of("caption", seed, plan.shard, plan.slot)',
        ("tests/tasks/captions/test_compose.py",),
    ),
    Fault(
        "relation-of-a-thing-to-itself",
        "tasks/captions/planning.py",
        "(position + 1 + int(draw.random() * (len(self._objects) - 1)))",
        "(position + int(draw.random() * len(self._objects)))",
        ("tests/tasks/captions/test_planning.py",),
    ),
    Fault(
        "answers-of-other-slots",
        "tasks/captions/compose.py",
        "answered = zip(packed, completions, strict=True)",
        "answered = zip(attempts, completions, strict=True)",
        ("tests/tasks/captions/test_compose.py",),
    ),
    Fault(
        "slot-without-a-caption-is-forgotten",
        "tasks/captions/compose.py",
        '            yield Rejection(_slot_key(plan), "exhausted", ", ".join(refused[plan.slot]))\n',
        "            pass\n",
        ("tests/tasks/captions/test_compose.py",),
    ),
    Fault(
        "caption-cut-off-in-its-sentence",
        "tasks/captions/screening.py",
        'if not answer.ended:\n            return Refusal("cut_off", text)',
        'if not answer.text:\n            return Refusal("cut_off", text)',
        ("tests/tasks/captions/test_screening.py",),
    ),
    Fault(
        "near-by-the-longer-caption-alone",
        "tasks/captions/near_duplicates.py",
        "return shared >= similarity * (fewer + more - shared)",
        "return shared >= similarity * more",
        ("tests/tasks/captions/test_near_duplicates.py", SELECT),
    ),
    Fault(
        "last-shard-before-is-not-compared",
        "tasks/captions/select.py",
        "for before in range(batch[0]):",
        "for before in range(batch[0] - 1):",
        (SELECT,),
    ),
    Fault(
        "balance-draws-the-same-for-every-seed",
        "tasks/captions/balancing.py",
        'seed_of("balance", seed, caption)',
        'seed_of("balance", caption)',
        (SELECT,),
    ),
    Fault(
        "noise-by-the-place-of-the-caption",
        "tasks/images/render.py",
        "image_seed(seed, part[row].id, candidate, attempt)",
        "image_seed(seed, CaptionId(str(row)), candidate, attempt)",
        (RENDER,),
    ),
    Fault(
        "damaged-captions-are-rendered",
        "tasks/images/render.py",
        "read_shard(source, caption_record.CONTRACT, check_digest=True)",
        "read_shard(source, caption_record.CONTRACT)",
        (RENDER,),
    ),
    Fault(
        "worst-candidates-are-kept",
        "tasks/images/candidates.py",
        "return -self._good[candidate][0].scores.get(CLIP, 0.0), candidate",
        "return self._good[candidate][0].scores.get(CLIP, 0.0), candidate",
        (CANDIDATES,),
    ),
    Fault(
        "wrong-request-is-rendered-to-its-end",
        "tasks/images/render.py",
        "            queue.abandon()\n            raise\n",
        "            raise\n",
        ("tests/tasks/images/test_render_queue.py::test_a_wrong_request_ends_the_other_shard_in_hand_too",),
    ),
)
