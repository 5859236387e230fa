"""Pictures from a network alone: dreams, and what an encoder sees."""
