"""The vocabulary: what is learnt here is what the stock tokenizer reads back, without a hub."""

from pathlib import Path

from tiny_renderer.train_reader import tokenize
from tiny_renderer.vocabulary import learn_vocabulary, read_tokenizer

CAPTIONS = ["A dog on the beach.", "a cat next to a couch", "The dog sleeps on the beach."] * 20


def test_frequent_words_are_one_token_and_unseen_ones_still_have_tokens(tmp_path: Path) -> None:
    learn_vocabulary(CAPTIONS, 600, tmp_path)
    tokenizer = read_tokenizer(tmp_path, 32)
    assert tokenizer.tokenize("Dog on the BEACH") == ["dog</w>", "on</w>", "the</w>", "beach</w>"]
    assert "<|endoftext|>" not in tokenizer.tokenize("zyx 7 é")
    tokens, last = tokenize(tokenizer, ["dog", "a cat"])
    assert tokens.shape == (2, 32) and last.tolist() == [2, 3]
    assert tokens[0, 0] == tokenizer.bos_token_id and set(tokens[0, 2:].tolist()) == {tokenizer.eos_token_id}
