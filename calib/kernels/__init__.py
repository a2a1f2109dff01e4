"""Fused loops: several steps in one pass over the pixels.

They call the same scalar functions in the order of the recipe, so they give the same bits as
the steps one after the other; the runner uses them where nobody stops, saves or hooks in
between.
"""
