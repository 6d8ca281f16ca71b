"""What the integration tests stand on: processes, a raw client, a scripted backend. No rule of the gateway is in here."""
