"""Motor threshold: methods as pure functions of the answers so far, and the size of a motor-evoked potential."""
