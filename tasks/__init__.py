"""What happens inside each stage: pure rules named by nouns, acts named by verbs."""
