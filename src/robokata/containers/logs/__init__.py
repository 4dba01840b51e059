"""Logs of messages: topics, chunks, ROS bags."""
