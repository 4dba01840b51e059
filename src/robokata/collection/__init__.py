"""Demonstrations from people: in a simulated world, on a real robot, with a handheld gripper."""
