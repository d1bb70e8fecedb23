//! What counts cost.

use super::*;

#[test]
fn the_same_question_is_free_for_a_day() {
    run(305, |context| async move {
        let mut world = world(context).await;
        let study = opened(&world, proposal(&world)).await;
        let subject = world.patient(&kim("kim")).await;
        let grant = granted(&world, Grantee::Study(study));
        let grant = world.grants(subject, grant).await;
        world.settle().await;
        let cost = world.research.discovery.cost;
        let seizure = observed(SEIZURE);
        let first = world
            .asks(researcher(&world), study, &[seizure])
            .await
            .unwrap();
        assert_eq!((first.shown.count(), first.cost), (1, cost));
        let revoke = ConsentChange::GrantRevoke(grant);
        world.consent(subject, revoke, Wait::Durable).await.unwrap();
        for _ in 0..2 {
            // However it is put.
            let again = [seizure, seizure, observed("HP:0000118")];
            let again = world.asks(researcher(&world), study, &again).await.unwrap();
            assert_eq!((again.shown, again.cost), (first.shown, Epsilon::ZERO));
            assert_eq!((again.at, again.left), (first.at, first.left));
            world.restart().await;
        }
        assert_eq!(world.read_for_studies(subject).await.len(), 1);
        let spending = world.spending(study).await;
        assert_eq!(spending.researcher.unwrap().spent, cost);
        assert_eq!(spending.study.spent, cost);
        // Another researcher pays, and so does who asks tomorrow.
        let other = world.staff("dr-nestor", Role::Researcher);
        let theirs = world.asks(other, study, &[seizure]).await.unwrap();
        assert_eq!((theirs.shown.count(), theirs.cost), (0, cost));
        world.later(DAY_MS).await;
        let later = world
            .asks(researcher(&world), study, &[seizure])
            .await
            .unwrap();
        assert_eq!((later.shown.count(), later.cost), (0, cost));
    });
}

#[test]
fn no_budget_is_overspent() {
    run(306, |context| async move {
        let mut world = world_with(context, budgets(2, 3, 4)).await;
        let study = opened(&world, proposal(&world)).await;
        let second = opened(&world, proposal(&world)).await;
        let subject = world.patient(&kim("kim")).await;
        for study in [study, second] {
            let grant = granted(&world, Grantee::Study(study));
            world.grants(subject, grant).await;
        }
        world.settle().await;
        let asked = questions();
        let mentor = || researcher(&world);
        let nestor = || world.staff("dr-nestor", Role::Researcher);
        let circe = || world.staff("dr-circe", Role::Researcher);
        // Three at once, of whom the researcher has two.
        let (a, b, c) = futures::join!(
            world.asks(mentor(), study, &asked[0]),
            world.asks(mentor(), study, &asked[1]),
            world.asks(mentor(), study, &asked[2]),
        );
        let all = [a, b, c];
        assert_eq!(all.iter().flatten().count(), 2);
        let refused = all.into_iter().find_map(Result::err).unwrap();
        assert!(
            matches!(&refused, Error::Spent(why) if why.contains("researcher")),
            "{refused}"
        );
        // Two at once by two, of which the study has one.
        let (a, b) = futures::join!(
            world.asks(nestor(), study, &asked[3]),
            world.asks(circe(), study, &asked[3]),
        );
        assert_ne!(a.is_ok(), b.is_ok());
        let refused = a.err().or(b.err()).unwrap();
        assert!(
            matches!(&refused, Error::Spent(why) if why.contains("study")),
            "{refused}"
        );
        let spending = world.spending(study).await;
        assert_eq!(spending.study.left, Epsilon::ZERO);
        assert_eq!(spending.study.spent, spending.study.budget.epsilon);
        // What was reserved and not looked at was given back.
        assert!(world.asks(nestor(), second, &asked[0]).await.is_ok());
        let who = world.staff("dr-helen", Role::Researcher);
        // The subject has nothing left: it is left out, and nobody is told.
        for (question, count) in [(4, 0), (1, 0)] {
            let counted = world
                .asks(who.clone(), second, &asked[question])
                .await
                .unwrap();
            assert_eq!(counted.shown.count(), count);
        }
        let held = world.held(world.parent(subject, 1), subject).await;
        assert_eq!(
            (held.spent.spent, held.spent.left),
            (held.spent.budget.epsilon, Epsilon::ZERO)
        );
        assert_eq!(world.read_for_studies(subject).await.len(), 4);
        world.restart().await;
        assert!(
            world
                .asks(researcher(&world), second, &asked[0])
                .await
                .is_err()
        );
    });
}

#[test]
fn a_count_that_dies_is_spent() {
    let lost: u64 = (1..=7).map(dies_at).sum();
    assert!(
        lost > 0,
        "no death lay between a reservation and its answer"
    );
}

/// Dies at the n-th commit after a question; how much was spent without an answer, and paid again.
fn dies_at(nth: u64) -> u64 {
    run(310 + nth, |context| async move {
        let world = founded_with(context, budgets(30, 60, 100)).await;
        let mut fragile = Fragile::of(world, FOREVER, true).await;
        let world = &fragile.world;
        let study = opened(world, proposal(world)).await;
        let subject = world.patient(&kim("kim")).await;
        let grant = granted(world, Grantee::Study(study));
        world.grants(subject, grant).await;
        world.settle().await;
        fragile.left.store(nth, Ordering::SeqCst);
        let question = [observed(SEIZURE)];
        let first = fragile
            .world
            .asks(researcher(&fragile.world), study, &question)
            .await;
        let mut answers = u64::from(first.is_ok());
        if fragile.is_dead() {
            fragile.recover().await;
        } else {
            fragile.left.store(FOREVER, Ordering::SeqCst);
        }
        let world = &fragile.world;
        world.settle().await;
        let kept = world
            .asks(researcher(world), study, &question)
            .await
            .unwrap();
        assert_eq!(kept.shown.count(), 1);
        answers += u64::from(first.is_err() && kept.cost > Epsilon::ZERO);
        let spending = world.spending(study).await;
        let cost = world.research.discovery.cost.micro();
        let mine = spending.researcher.unwrap().spent.micro() / cost;
        let studys = spending.study.spent.micro() / cost;
        let held = world.held(world.parent(subject, 1), subject).await;
        let of_subject = held.spent.spent.micro() / cost;
        // Nothing is answered that was not paid for, and nothing is lost but once.
        for spent in [mine, studys, of_subject] {
            assert!(
                (answers..=answers + 1).contains(&spent),
                "{nth}: {spent} of {answers}"
            );
        }
        assert!(mine >= studys && studys >= of_subject, "in that order");
        u64::from(mine == 2 && answers == 1)
    })
}

#[test]
fn diseases_are_found_under_their_other_names() {
    run(320, |context| async move {
        let world = world(context).await;
        let mut about = proposal(&world);
        about.declared.research = [ResearchType::Disease].into();
        about.declared.diseases = [Curie::new(DRAVET).unwrap()].into();
        let study = opened(&world, about).await;
        let within = |disease: &str| {
            Grantee::Research(DataUse {
                clauses: [Clause {
                    permission: Permission::Diseases([Curie::new(disease).unwrap()].into()),
                    modifiers: BTreeSet::new(),
                }]
                .into(),
            })
        };
        // Mondo's name of the same, and another disease.
        for disease in ["MONDO:0100079", "OMIM:154700"] {
            let subject = world.patient(&kim("kim")).await;
            world
                .grants(subject, granted(&world, within(disease)))
                .await;
        }
        world.settle().await;
        assert_eq!(world.counts(study, &[]).await, 1);
        let disease = |id: &str| {
            Filter::Disease(Wanted {
                term: id.parse().unwrap(),
                reach: Reach::Below,
            })
        };
        assert_eq!(world.counts(study, &[disease(DRAVET)]).await, 1);
        assert_eq!(world.counts(study, &[disease("OMIM:154700")]).await, 0);
    });
}
