"""ROS messages: definitions, decoding and encoding."""
