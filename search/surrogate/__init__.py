"""The surrogate: a Gaussian process over the subsets of one space.

It says what the trials so far tell of every subset, tried or not. The sampler `gp` proposes by it,
and `search.analysis.answer` names the subset to keep by it. It holds no state: the same trials give
the same posterior on any machine.

Notation, after Rasmussen and Williams (2006), used in all modules of this package
    x           a subset; X the n scored subsets
    t           the task of x: its depth, and not a test collection, which is a task elsewhere.
                The target is the depth in question, the last task
    y_i         mean score of the i-th subset of X over its m_i trials, each task with mean 0 and
                variance 1
    c           a component of the kernel: one sense in which two subsets are alike
    k_c(x, x')  its value; an average member of the space has k_c(x, x) = 1
    a_c         amplitude: standard deviation of the scores that component c explains
    r_tc        task correlation of task t with the target in component c; 1 for the target
    s_t         scale of the scores of task t against those of the target; 1 for the target
    sigma       standard deviation of the noise of one trial
    l           variance of the unknown mean level of each task

    k(x, x') = l [t = t'] + sum over c of a_c^2 s_t s_t' rho_c(t, t') k_c(x, x')
    rho_c(t, t') = 1 if t = t' else r_tc r_t'c
    K = k(X, X),  D = diag(sigma^2 / m_i),  A = K + D,  alpha = A^-1 y

The sum over components with a correlation for each is the intrinsic coregionalisation model
(Bonilla, Chai and Williams 2007).
"""

from search.surrogate.model import Hint, Posterior, Surrogate
from search.surrogate.trials import PooledTrials

__all__ = ["Hint", "PooledTrials", "Posterior", "Surrogate"]
