"""The Tiny World: names and sprites enter, labelled scenes and the phrases that describe them leave."""
