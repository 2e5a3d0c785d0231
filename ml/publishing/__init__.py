"""What people look at: collections as static pages, model cards as Markdown."""
