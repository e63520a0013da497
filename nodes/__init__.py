"""The steps of a story: one file, one step, one async function (state, services) -> update."""
