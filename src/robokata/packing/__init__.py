"""What a target format cannot hold, packed into bytes that it can."""
