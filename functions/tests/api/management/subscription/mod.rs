mod members;
mod usage;
