"""The screens, thin: a view each, and what frames it."""
