import numpy as np

from predictors.ridge import RidgePredictor


def test_standard_deviation_grows_away_from_the_data(ddim_landscape):
    few = RidgePredictor(ddim_landscape.space).fit(ddim_landscape.X[:30], ddim_landscape.y[:30])
    near, far = (few._predict_learned(X)[1].mean() for X in (ddim_landscape.X[:30], ddim_landscape.X_test))
    assert far > near > 0


def test_features_that_never_varied_say_nothing(ddim_landscape):
    X = np.where(ddim_landscape.X == 3, 2, ddim_landscape.X)
    predictor = RidgePredictor(ddim_landscape.space).fit(X, ddim_landscape.y)
    assert np.isinf(predictor.scale_).any()
    assert np.isfinite(predictor.predict(ddim_landscape.X_test)).all()


def test_squares_double_the_features(ddim_landscape):
    line, curve = (
        RidgePredictor(ddim_landscape.space, squares=squares).fit(ddim_landscape.X, ddim_landscape.y)
        for squares in (False, True)
    )
    assert len(curve.coef_) == 2 * len(line.coef_)
