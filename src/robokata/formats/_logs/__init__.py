"""Robot logs (MCAP, ROS bags) as episodes."""
