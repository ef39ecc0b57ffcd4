"""Programs that are run in processes of their own: to import them sets up devices; no doctest is looked for there."""

collect_ignore = ["four_devices.py", "played_device.py", "second_device.py", "two_processes.py"]
