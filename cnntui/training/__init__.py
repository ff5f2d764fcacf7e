"""The trainer: the only package that knows torch. Started as a process: `python -m cnntui.training RUN_DIRECTORY`."""
