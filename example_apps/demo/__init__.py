"""The demo: both example services under real servers, real requests, and a check of every trace they leave."""
