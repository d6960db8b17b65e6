"""What happens inside each room: pure rules named by nouns, acts named by verbs."""
