"""The networks of Rollcall in JAX and Flax: face detection (MTCNN) and age, gender, identity.

Knows arrays and parameters; nothing of what files mean, of databases or of hosts. Importing this
package is cheap: JAX is imported by the modules that compute.
"""
