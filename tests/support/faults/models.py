"""Faults in `models/`: losses, the encoder and its training, probes, scorers."""

from support.faults.fault import Fault

LOSSES = "tests/models/losses"
OBJECTIVES = "tests/models/encoder/test_objectives.py"
TRAINING = "tests/models/encoder/test_training.py"
PROBES = "tests/models/probes/test_probes.py"
TRAIN = "tests/tasks/encoder/test_train.py"

FAULTS = (
    Fault(
        "contrast-with-another-sign",
        "models/losses/multi_positive.py",
        "loss_A = -(log_q_AK * mask.positive_AK).sum(-1)",
        "loss_A = (log_q_AK * mask.positive_AK).sum(-1)",
        (f"{LOSSES}/test_multi_positive.py",),
    ),
    Fault(
        "contrast-without-temperature",
        "models/losses/multi_positive.py",
        "(anchors_AD @ keys_KD.T / temperature)",
        "(anchors_AD @ keys_KD.T)",
        (f"{LOSSES}/test_multi_positive.py",),
    ),
    Fault(
        "keys-are-not-normalised",
        "models/losses/multi_positive.py",
        "keys_KD = F.normalize(at_least_float32(keys_KD), dim=-1)",
        "keys_KD = at_least_float32(keys_KD)",
        (f"{LOSSES}/test_multi_positive.py",),
    ),
    Fault(
        "an-image-is-its-own-positive",
        "models/losses/multi_positive.py",
        "candidate_AK = anchor_images_A[:, None] != key_images_K[None, :]",
        "candidate_AK = positive_AK | (anchor_images_A[:, None] != key_images_K[None, :])",
        (f"{LOSSES}/test_multi_positive.py",),
    ),
    Fault(
        "one-direction-twice",
        "models/losses/image_text.py",
        "return (to_texts + to_images) / 2.0",
        "return (to_texts + to_texts) / 2.0",
        (f"{LOSSES}/test_image_text.py",),
    ),
    Fault(
        "unmasked-images-count-in-the-mean",
        "models/losses/ibot.py",
        "(tokens_of_image > 0).sum()",
        "(tokens_of_image >= 0).sum()",
        (f"{LOSSES}/test_ibot.py",),
    ),
    Fault(
        "prototypes-balanced-by-each-rank-alone",
        "models/losses/sinkhorn.py",
        'mass_K = over_ranks(mass_TK.sum(0), "sum")',
        "mass_K = mass_TK.sum(0)",
        (f"{LOSSES}/test_published_vectors.py::test_sinkhorn_does_not_depend_on_how_tokens_are_split_over_ranks",),
    ),
    Fault(
        "teacher-momentum-swapped",
        "models/encoder/ema.py",
        "torch._foreach_lerp_(averages, current, 1.0 - momentum)",
        "torch._foreach_lerp_(averages, current, momentum)",
        (f"{OBJECTIVES}::test_the_teacher_follows_parameters_and_is_never_trained",),
    ),
    Fault(
        "masks-of-the-shape-of-local-crops",
        "models/encoder/batch.py",
        "side = spec.image_size // spec.patch_size",
        "side = spec.local_size // spec.patch_size",
        (
            f"{OBJECTIVES}::test_crops_follow_from_the_generator_alone_and_half_of_the_images_lose_half_of_their_patches",
        ),
    ),
    Fault(
        "warm-up-begins-with-a-lost-step",
        "models/encoder/schedules.py",
        "return peak * (step + 1) / warmup",
        "return peak * step / warmup",
        (f"{OBJECTIVES}::test_schedules_begin_and_end_where_they_should",),
    ),
    Fault(
        "crops-are-not-normalised",
        "models/encoder/augment.py",
        "return normalise(solarize(coloured, draws.rand(count) < solarize_N))",
        "return solarize(coloured, draws.rand(count) < solarize_N)",
        ("tests/models/encoder/test_augment.py",),
    ),
    Fault(
        "text-is-read-at-the-largest-id",
        "models/encoder/text.py",
        "at_C = (tokens_CL == end).int().argmax(1)",
        "at_C = tokens_CL.argmax(1)",
        ("tests/models/encoder/test_text.py",),
    ),
    Fault(
        "scale-of-logits-is-unbounded",
        "models/encoder/objectives.py",
        "            self.text.clamp_scale()\n",
        "            pass\n",
        (f"{OBJECTIVES}::test_the_scale_of_image_text_logits_stays_within_its_bounds",),
    ),
    Fault(
        "student-exported-for-the-teacher",
        "models/encoder/objectives.py",
        'return (self.teacher if self.teacher and self.spec.export == "teacher" else self.student).backbone',
        "return self.student.backbone",
        (TRAINING,),
    ),
    Fault(
        "every-vector-decays",
        "models/encoder/training.py",
        'schedule.weight_decay if group["name"] == "decay" else 0.0',
        "schedule.weight_decay",
        (TRAINING,),
    ),
    Fault(
        "every-step-draws-the-same",
        "models/encoder/training.py",
        'seed_of("encoder", "step", self.seed, self.step, number)',
        'seed_of("encoder", "step", self.seed, number)',
        (TRAINING,),
    ),
    Fault(
        "nobody-reads-clip-gradient",
        "models/encoder/training.py",
        "gradient = self._clip(self.spec.clip_gradient or math.inf)",
        "gradient = self._clip(math.inf)",
        (TRAINING,),
    ),
    Fault(
        "teacher-slows-down-backwards",
        "models/encoder/training.py",
        "momentum=cosine(step, spec.steps, spec.ema_momentum, 1.0)",
        "momentum=cosine(step, spec.steps, 1.0, spec.ema_momentum)",
        (TRAINING,),
    ),
    Fault(
        "moments-of-the-optimiser-are-not-restored",
        "models/encoder/training.py",
        'if kind == "optimizer":',
        'if kind == "optimiser":',
        (f"{TRAIN}::test_a_run_that_is_killed_ends_with_the_very_bytes_of_one_that_is_not",),
    ),
    Fault(
        "accumulated-batches-are-summed",
        "models/encoder/training.py",
        "(torch.stack(list(terms.values())).sum() / len(parts)).backward()",
        "torch.stack(list(terms.values())).sum().backward()",
        (TRAINING,),
    ),
    Fault(
        "one-neighbour-too-many",
        "models/probes/knn.py",
        "k, directions_DN = min(k, len(labels)), unit(train_ND).T",
        "k, directions_DN = min(k + 1, len(labels)), unit(train_ND).T",
        (PROBES,),
    ),
    Fault(
        "features-standardised-by-the-test-images",
        "models/probes/ridge.py",
        "standard_MD = (features_MD - self.standard.mean_D) / self.standard.scale_D",
        "standard_MD = (features_MD - features_MD.mean(0)) / self.standard.scale_D",
        (PROBES,),
    ),
    Fault(
        "penalty-upside-down",
        "models/probes/logistic.py",
        "model.C = 1.0 / penalty",
        "model.C = penalty",
        (PROBES,),
    ),
    Fault(
        "random-encoders-are-one-encoder",
        "models/embedder/build.py",
        'seed_of("embeddings", "random", seed, number)',
        'seed_of("embeddings", "random", seed)',
        ("tests/models/embedder/test_build.py",),
    ),
    Fault(
        "scores-of-another-text",
        "models/scorer/batched_embedding.py",
        "return torch.cat(found)[[place[text] for text in texts]]",
        "return torch.cat(found)[: len(place)].repeat(len(texts), 1)[: len(texts)]",
        ("tests/models/scorer/test_scorers.py",),
    ),
    Fault(
        "weights-pinned-by-their-size",
        "models/weights.py",
        'sha.update(hashlib.file_digest(stream, "sha256").digest())',
        "sha.update(str(stream.seek(0, 2)).encode())",
        ("tests/models/test_weights.py",),
    ),
    Fault(
        "crops-that-do-not-fit-are-cut",
        "models/encoder/augment.py",
        "    fits_TN = (width_TN <= 1) & (height_TN <= 1)\n",
        "    width_TN, height_TN = width_TN.clamp(max=1), height_TN.clamp(max=1)\n"
        "    fits_TN = (width_TN <= 1) & (height_TN <= 1)\n",
        ("tests/models/encoder/test_augment.py",),
    ),
)
