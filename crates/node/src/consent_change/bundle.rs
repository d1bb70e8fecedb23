//! What travels to the family's tool and back.
