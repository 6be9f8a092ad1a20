"""Where experience comes from: simulators, data and the rewards of their domains."""
