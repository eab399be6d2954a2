"""What people's other tools are told about decisions, in their own words."""
