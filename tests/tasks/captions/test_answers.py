"""What chat models put before, around and after a caption, taken off; what is no caption, told apart."""

import pytest

from tasks.captions.answers import caption_in, speaks_to_the_asker, tidied, unquoted

FOX = "A red fox in the snow."


@pytest.mark.parametrize(
    "line",
    [
        f"  {FOX}  ",
        f'"{FOX}"',
        f"“{FOX}”",
        f"‘{FOX}’",
        f"'{FOX}'",
        '"A red fox in the snow".',
        f'"{FOX}',
        f"{FOX}”",
        f"**{FOX}**",
        f"*{FOX}*",
        f"`{FOX}`",
        f"> {FOX}",
        f"### {FOX}",
        f"1. {FOX}",
        f"(2) {FOX}",
        f"- {FOX}",
        f"• {FOX}",
        f"Caption: {FOX}",
        f"**Caption:** {FOX}",
        f'Photo caption for fox: "{FOX}"',
        f"Caption 1: {FOX}",
        f"Output: {FOX}",
        f"Sure! {FOX}",
        f"Sure, here's one: {FOX}",
        f"Certainly! Here is a short caption for the photo of a fox: {FOX}",
        f"Of course. Here are the captions:  1. **{FOX}**",
        f"Okay - {FOX}",
        f"a) {FOX}",
        f"(B) {FOX}",
        f"#1 {FOX}",
        f"#2: {FOX}",
        f"<p>{FOX}</p>",
        f"<b>Caption:</b> {FOX}<br/>",
        f"Photo: {FOX}",
        f"[Image: {FOX}]",
        f"({FOX})",
        f"A possible caption could be: {FOX}",
        f'The caption for a fox is: "{FOX}"',
        f"Great choice! {FOX}",
        "A red fox in&nbsp;the&#32;snow.",
        "&quot;A red fox in the snow.&quot;",
    ],
)
def test_a_caption_is_freed_of_what_stands_around_it(line):
    assert tidied(line) == FOX
    assert caption_in(f" {line}\n", chat=False).text == FOX


@pytest.mark.parametrize(
    "caption",
    [
        "A photo of a fox, 2.5 m long.",
        "3 foxes & a kettle.",
        'A sign that says "fox" on a wall.',
        "A fox's den in rock 'n' roll style.",
        "A sure-footed goat on a cliff.",
        "Here is a fox in the snow.",
        "An answering machine on a desk.",
        "A well-captioned photo of a fox: the snow is deep.",
        "Captain Fox sails over the sea.",
        "A R&D lab; AT&T sign.",
        "A (red) fox in (deep) snow.",
        "(Red) foxes in the snow (and a den).",
        "A photo of a fox: the snow is deep.",
        "A great idea of a fox on a chalkboard.",
        "Photo of a fox, 3 < 5 foxes, a <p in chalk.",
    ],
)
def test_a_caption_that_only_looks_like_it_stays_as_it_is(caption):
    assert tidied(caption) == caption
    assert not speaks_to_the_asker(caption, "fox")


@pytest.mark.parametrize(
    "line",
    [
        "Sure!",
        "Sure! Here is a caption for fox:",
        "Here's a caption for the photo of a fox.",
        "Certainly! Here are three captions for you:",
        "Caption:",
        "**Caption**",
        "```",
        "```text",
        "---",
    ],
)
def test_a_line_without_a_caption_has_nothing_left(line):
    assert tidied(line) == ""
    found = caption_in(f"{line}\n\n{FOX}\n", chat=True)
    assert (found.text, found.ended) == (FOX, True)
    assert caption_in(f"{line}\n{FOX}\n", chat=False).text == "", "what follows in a text is another pair"


@pytest.mark.parametrize(
    "line",
    [
        "I'm sorry, but I can't help with that fox.",
        "I cannot create a caption for a fox.",
        "As an AI language model, I see no fox.",
        "A red fox in the snow. Let me know if you need more!",
        "The user wants a sentence about a fox.",
        "This caption shows a fox in the snow.",
        "<think> a fox, so",
        "How about: A red fox in the snow.",
        "I'd suggest a red fox in the snow.",
        '{"caption": "A red fox in the snow."}',
        '[{"caption": "A red fox in the snow."}]',
    ],
)
def test_an_assistant_s_speech_is_told_from_a_caption_but_not_by_a_concept_s_own_words(line):
    assert speaks_to_the_asker(line, "fox")
    assert not speaks_to_the_asker("The captions of an old film.", "the captions")


@pytest.mark.parametrize(
    ("answer", "text", "ended"),
    [
        (f"\n\n{FOX}\n", FOX, True),
        (f"{FOX}\n\nLet me know if you need more", FOX, True),
        (f"1. {FOX}\n2. A fox on a hill", FOX, True),
        ("A red fox in the", "A red fox in the", False),
        ("Sure!\nA red fox in the", "A red fox in the", False),
        (f"{FOX}<|im_end|>\n<|im_start|>user\nfox", FOX, True),
        (f"{FOX}</s>", FOX, True),
        (f"{FOX}\r\n", FOX, True),
        ("", "", False),
        ("\n", "", True),
        ("Sure! Here is a caption:", "", False),
    ],
)
def test_of_a_chat_s_answer_the_first_line_that_is_a_caption_counts(answer, text, ended):
    found = caption_in(answer, chat=True)
    assert (found.text, found.ended) == (text, ended)


def test_quotation_marks_inside_a_caption_stay():
    assert unquoted('"One" and "two"') == '"One" and "two"'
    assert unquoted('A "fox" sign') == 'A "fox" sign'
    assert unquoted('"') == ""
