"""The page to demonstrate in: its server, clients, access and live cameras."""
