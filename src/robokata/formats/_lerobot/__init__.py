"""LeRobot datasets of all versions."""
