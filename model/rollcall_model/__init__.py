"""The networks of Rollcall in JAX and Flax: face detection (MTCNN), and age, gender and identity of a face.

The package knows arrays and parameters; nothing of files' meaning, databases or hosts. Importing it is cheap: JAX is
imported by the modules that compute. Folders, from the highest to the lowest: `training`, `evaluation`, `datasets`,
`attributes` and `detection` beside each other, `nn`, and the modules of this folder.
"""
