"""Lessons: files of Markdown and TOML, read, checked, and asked how far one is. Nothing of them is ever run as code."""
