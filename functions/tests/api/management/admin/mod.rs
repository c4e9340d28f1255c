mod overview;
mod workers;
