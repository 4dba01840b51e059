"""LeRobot's policies, trained and run in LeRobot's own environment."""
