"""Faults in the later stages of `tasks/`: training, embeddings, scores."""

from support.faults.fault import Fault

TRAIN = "tests/tasks/encoder/test_train.py"
KILLED = f"{TRAIN}::test_a_run_that_is_killed_ends_with_the_very_bytes_of_one_that_is_not"
DATA_SETS = "tests/tasks/embeddings/test_data_sets.py"
METRICS = "tests/tasks/scores/test_metrics.py"
PROTOCOLS = "tests/tasks/scores/test_protocols.py"
MEASURE = "tests/tasks/scores/test_measure.py"

FAULTS = (
    Fault(
        "training-resumes-with-the-first-batch",
        "tasks/encoder/train_steps.py",
        "numbers = range(training.step * spec.accumulate, spec.steps * spec.accumulate)",
        "numbers = range(0, spec.steps * spec.accumulate)",
        (KILLED,),
    ),
    Fault(
        "log-resumes-one-step-late",
        "tasks/encoder/metrics.py",
        'rows = [row for row in read_metrics(folder) if row["step"] < done]',
        'rows = [row for row in read_metrics(folder) if row["step"] <= done]',
        (KILLED,),
    ),
    Fault(
        "checkpoint-before-its-log",
        "tasks/encoder/train_steps.py",
        "                    log.publish()\n"
        "                    checkpoints.save(job.folder, done, tensors, spec.keep_checkpoints)\n",
        "                    checkpoints.save(job.folder, done, tensors, spec.keep_checkpoints)\n"
        "                    log.publish()\n",
        (f"{TRAIN}::test_rows_of_the_log_are_published_before_the_checkpoint_that_counts_on_them",),
    ),
    Fault(
        "damaged-checkpoint-is-loaded",
        "tasks/encoder/checkpoints.py",
        "if data is not None and FileDigest(bytes=len(data), sha256=hashlib.sha256(data).hexdigest()) == manifest.file:",
        "if data is not None:",
        (f"{TRAIN}::test_only_the_last_checkpoints_are_kept_and_a_damaged_one_is_passed_over",),
    ),
    Fault(
        "ranks-learn-from-the-same-captions",
        "tasks/encoder/batches.py",
        "mine = slice(rank * size, (rank + 1) * size)",
        "mine = slice(0, size)",
        (f"{TRAIN}::test_two_ranks_learn_what_one_does",),
    ),
    Fault(
        "every-step-draws-the-same-copies",
        "tasks/encoder/batches.py",
        'seed_of("encoder", "copies", self._seed, step)',
        'seed_of("encoder", "copies", self._seed)',
        ("tests/tasks/encoder/test_batches.py",),
    ),
    Fault(
        "nobody-reads-repeat",
        "tasks/encoder/train.py",
        '        seed = seed_of("encoder", "repeat", seed, spec.repeat)\n',
        "        pass\n",
        ("tests/tasks/encoder/test_training_job.py",),
    ),
    Fault(
        "classes-by-the-place-of-a-caption",
        "tasks/encoder/image_store.py",
        'classes_C = torch.tensor([_class(caption["text"]) for caption in captions])',
        "classes_C = torch.tensor([row for row, _ in enumerate(captions)])",
        (f"{TRAIN}::test_captions_of_one_text_are_one_class_and_bytes_that_are_no_image_are_named",),
    ),
    Fault(
        "crop-of-a-corner",
        "tasks/embeddings/pixels.py",
        "left, top = round((wide - size) / 2), round((high - size) / 2)",
        "left, top = 0, 0",
        (DATA_SETS,),
    ),
    Fault(
        "one-test-caption-too-many",
        "tasks/embeddings/image_shards.py",
        "split_of[caption] = TEST if place < fifth else",
        "split_of[caption] = TEST if place <= fifth else",
        (DATA_SETS,),
    ),
    Fault(
        "data-set-edited-while-it-is-read",
        "tasks/embeddings/benchmarks.py",
        "            _require_unedited(benchmark)  # and before what was read is sealed under the planned lineage\n",
        "",
        (DATA_SETS,),
    ),
    Fault(
        "recall-points-without-zero",
        "tasks/scores/metrics.py",
        "TENTHS = np.arange(11)",
        "TENTHS = np.arange(1, 11)",
        (METRICS,),
    ),
    Fault(
        "spread-as-of-a-whole-population",
        "tasks/scores/metrics.py",
        "np.std(values, ddof=1)",
        "np.std(values)",
        (METRICS,),
    ),
    Fault(
        "penalty-chosen-on-the-test",
        "tasks/scores/protocols.py",
        "penalty, settings = _ridge_penalty(problem, spec, fold.validations)",
        "penalty, settings = _ridge_penalty(problem, spec, ((fold.train, fold.test),))",
        (PROTOCOLS,),
    ),
    Fault(
        "one-shot-too-many",
        "tasks/scores/protocols.py",
        "generator.permutation(rows[targets[:, place] > 0])[:shots]",
        "generator.permutation(rows[targets[:, place] > 0])[: shots + 1]",
        (PROTOCOLS,),
    ),
    Fault(
        "tested-copies-are-trained-on",
        "tasks/scores/folds.py",
        "train = np.flatnonzero(copy_of < last)\n",
        "train = np.flatnonzero(copy_of <= last)\n",
        (MEASURE,),
    ),
    Fault(
        "seen-and-unseen-swapped",
        "tasks/scores/seen.py",
        'parts = (Subset("seen", seen, everything.classes), Subset("unseen", ~seen, everything.classes))',
        'parts = (Subset("seen", ~seen, everything.classes), Subset("unseen", seen, everything.classes))',
        (MEASURE,),
    ),
    Fault(
        "fifths-that-no-seed-changes",
        "tasks/embeddings/photographs.py",
        'random.Random(seed_of("fifths", found.name, found.seed, label)).shuffle(numbers)',
        'random.Random(seed_of("fifths", found.name, label)).shuffle(numbers)',
        ("tests/tasks/embeddings/test_photographs.py",),
    ),
)
