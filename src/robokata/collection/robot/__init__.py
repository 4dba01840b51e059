"""Recording on a real robot through LeRobot, in a process and an environment of its own."""
