"""A scene as a whole: what carries over into it, when and where things happen, how loud."""
