"""What holds the learner's code against its task: a module a task, each with `check(folder)`."""
