"""The wall between an agent and the machine (local sandbox, microVM). It is not built yet: this
package holds no code, and nothing in the project may be read as if it confined a process today.
"""
