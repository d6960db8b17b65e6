"""Settings that cannot be run are refused with their name and the way out."""

import pytest

from data_specs.errors import SpecError
from data_specs.specs.run import RunSpec
from data_specs.stage import STAGES
from flows.runs.recipes import read_overrides, resolve_recipe


def test_a_run_has_one_field_a_stage_in_running_order():
    assert [name for name in RunSpec.model_fields if name in STAGES] == list(STAGES)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("captions.totl=3", "did you mean 'captions.total'"),
        ("concepts.backgrounds_by={model: x, per_concpt: 3}", "did you mean 'concepts.backgrounds_by.per_concept'"),
        ("capions.total=3", "did you mean 'captions'"),
        ("captions.total=-1", r"captions.total: .*greater than or equal to 1 \(given: -1\)"),
        ("captions.total=many", "captions.total: .*valid integer"),
        ("captions.strategies={concept: 0.5, relation: 0.1}", "sum to 0.6"),
        ("concepts.kinds.object=2", "kinds must be shares"),
        ("concepts.sources=[]", "concepts.sources: .*at least 1"),
        ("images.format=gif", "images.format"),
        ("images.candidates=8", "candidates 8 are chosen by score: name a scorer"),
        ("images={candidates: 3, scorer: {engine: fake, model: x}}", "candidates 3 are fewer than per_caption 4"),
        ("images.scorer={engine: clip}", "images.scorer.model"),
        ("images.safety={threshold: 0.1}", "images.safety.policy"),
        ("encoder.patch_size=14", "image_size 64 is no multiple of patch_size 14"),
        ("encoder={patch_size: 14, image_size: 56, local_size: 28}", "stem conv halves images"),
        ("encoder.local_size=40", "local_size 40 is no multiple of patch_size 16"),
        ("encoder.global_scale=[1.5, -2]", r"global_scale \(1.5, -2\) must be shares"),
        ("encoder.ranks=3", "captions_per_step 32 is no multiple of ranks 3"),
        ("encoder.objective=[clip]", "encoder.objective"),
        ("encoder.lr=.inf", "encoder.lr: .*finite number"),
        ("encoder.betas=[0.9, 1.5]", "encoder.betas.1: .*less than 1"),
        ("encoder.weight_decay=[-0.5, 0.2]", "encoder.weight_decay.0: .*greater than or equal to 0"),
        ("encoder.teacher_temperature=[0, 0.07]", "encoder.teacher_temperature.0: .*greater than 0"),
        ("encoder.mask_ratio=0.05", "mask_ratio 0.05 of 16 tokens mask none"),
        (
            "encoder.mask_probability=0.001",
            "mask_probability 0.001 of 128 crops and mask_ratio 0.5 of 16 tokens mask none",
        ),
        ("scores.ridge_penalties=[1e-9]", "scores.ridge_penalties.0: .*greater than or equal to 0.00000001"),
        (
            "embeddings.data_sets=[{use: image_folder, name: a, path: x, resize: 32}]",
            "embeddings.data_sets: a: resize 32 is less than encoder.image_size 64, which is cut out of it: raise it",
        ),
        ("encoder.images_per_caption=9", "images_per_caption 9 is more than the 4"),
        ("embeddings.data_sets=[{use: image_folder, name: a, path: x, validation: test}]", "must be three splits"),
        ("captions.total", "stage.setting=value"),
        ("captions.total.deep=1", "holds a value"),
        ("captions.total=[", "not YAML"),
    ],
)
def test_a_wrong_setting_is_refused_in_one_line_that_names_it(override, said):
    with pytest.raises(SpecError, match=said) as caught:
        resolve_recipe("tiny", read_overrides("tiny", [override]))
    assert "\n" not in str(caught.value)


def test_a_benchmark_of_ones_own_has_the_size_that_the_encoder_is_trained_at():
    def sizes(**encoder):
        sets = [
            {"use": "image_folder", "name": name, "path": "x"} | more for name, more in (("a", {}), ("b", {"size": 48}))
        ]
        spec = RunSpec.model_validate({"encoder": encoder, "embeddings": {"data_sets": sets}})
        assert RunSpec.model_validate_json(spec.model_dump_json()) == spec
        return [one.size for one in spec.embeddings.data_sets]

    assert sizes() == [64, 48]
    assert sizes(image_size=224) == [224, 48]
    assert RunSpec().embeddings.data_sets == ()
