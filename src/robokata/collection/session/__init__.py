"""A teleoperation session: the control loop, the arms it commands, and commands of operators."""
